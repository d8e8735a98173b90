"""An ExceptionManager sees what no caller can catch; the most specific handler wins."""

import threading
from dataclasses import dataclass

from aspyx_event import (
    EventManager,
    EventRegistry,
    ExceptionManager,
    Outcome,
    Reject,
    RetryPolicy,
    catch,
    event,
    event_listener,
)

done = threading.Event()


@event()
@dataclass
class FileUploaded:
    name: str


@event_listener(FileUploaded, retry=RetryPolicy(immediate=3, immediate_wait=(0,)))
def scan(event: FileUploaded) -> None:
    raise FileNotFoundError(event.name)


class Handlers:
    @catch()
    def any_error(self, error: Exception) -> None:
        print(f"reported: {error}")

    @catch()
    def no_file(self, error: FileNotFoundError) -> Exception:
        print(f"no such file: {error}")
        ExceptionManager.proceed()  # the next more general handler
        return Reject("the file is gone, another attempt is in vain")


def observe(outcome: Outcome) -> None:
    print(f"{outcome.result.value}: {outcome.reason}")
    done.set()


exceptions = ExceptionManager()
exceptions.collect_handlers(Handlers())
with EventManager("local://", exceptions, registry=EventRegistry().register(scan), observers=[observe]) as manager:
    manager.send_event(FileUploaded("a.pdf"))
    done.wait(10)
