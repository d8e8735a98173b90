"""What proton's documentation shows: MessagingHandler in a Container, with as much prefetch as helps."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any, Callable

from proton import Message, symbol
from proton.handlers import MessagingHandler
from proton.reactor import Container, LinkOption

from tests.benchmarks.samples import Meter, Place

PREFETCH = 500
_SECONDS = 120.0


class _Capabilities(LinkOption):
    """Says what kind of address it is, as Artemis wants to know."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def apply(self, link: Any) -> None:
        terminus = link.target if link.is_sender else link.source
        for name in self._names:
            terminus.capabilities.put_object(symbol(name))


class Handler(MessagingHandler, ABC):
    """Connects, and gives up when it takes too long: a lost message must not hang the run."""

    def __init__(self, place: Place, **options: Any) -> None:
        super().__init__(**options)
        self.place = place
        self.connection: Any = None
        self._timer: Any = None

    def on_start(self, event: Any) -> None:
        place = self.place
        self.connection = event.container.connect(
            f"amqp://{place.host}:{place.port}", user=place.user, password=place.password, allowed_mechs="PLAIN",
            reconnect=False,
        )  # fmt: skip
        self._timer = event.container.schedule(_SECONDS, self)
        self.opened(event.container)

    @abstractmethod
    def opened(self, container: Any) -> None:
        """Attach the link."""

    def on_timer_task(self, _event: Any) -> None:
        self.connection.close()

    def on_link_closed(self, _event: Any) -> None:
        # A receiver ends here: when only its connection ends, RabbitMQ may pass on again what was accepted last.
        self.finish()

    def finish(self) -> None:
        """All is done."""
        self._timer.cancel()
        self.connection.close()


def attach_receiver(container: Any, connection: Any, place: Place) -> None:
    """Read the listener's queue."""
    container.create_receiver(connection, place.source, options=_Capabilities(place.capabilities))


def run(handler: Handler) -> None:
    """Run it in this thread until it has finished, or given up."""
    Container(handler).run()


class _Receiver(Handler):
    def __init__(self, place: Place, total: int, on_body: Callable[[bytes], None] | None) -> None:
        super().__init__(place, prefetch=PREFETCH, auto_accept=False)
        self.meter = Meter(total)
        self._on_body = on_body

    def opened(self, container: Any) -> None:
        attach_receiver(container, self.connection, self.place)

    def on_message(self, event: Any) -> None:
        if self._on_body is not None:
            self._on_body(event.message.body)
        self.accept(event.delivery)
        if self.meter.hit():
            event.receiver.close()


def receive(place: Place, total: int, *, on_body: Callable[[bytes], None] | None = None) -> float:
    """Receive and accept so many messages, without looking into their bodies; messages a second."""
    handler = _Receiver(place, total, on_body)
    run(handler)
    return handler.meter.rate()


class Sender(Handler):
    """Sends as many at a time as there is credit. ``seconds``: from the first to the last confirmation.

    in_flight: how many may wait for their confirmation; by default all.
    """

    def __init__(self, place: Place, total: int, body: bytes, *, in_flight: int | None = None) -> None:
        super().__init__(place)
        self.total, self._body = total, body
        self._most = in_flight
        self._sent = self._confirmed = 0
        self._begin = self.seconds = 0.0

    def opened(self, container: Any) -> None:
        container.create_sender(self.connection, self.place.target, options=_Capabilities(self.place.capabilities))

    def on_sendable(self, event: Any) -> None:
        self._begin = self._begin or time.perf_counter()
        self._send_more(event.sender)

    def _send_more(self, sender: Any) -> None:
        count = min(sender.credit, self.total - self._sent)
        if self._most is not None:
            count = min(count, self._most - (self._sent - self._confirmed))
        self.send_some(sender, count)

    def send_some(self, sender: Any, count: int) -> None:
        """Send so many now."""
        for _ in range(count):
            self._sent += 1
            sender.send(
                Message(
                    body=self._body, inferred=True, durable=True, id=str(self._sent), content_type="application/json"
                )
            )

    def on_accepted(self, event: Any) -> None:
        self._confirmed += 1
        if self._confirmed == self.total:
            self.seconds = time.perf_counter() - self._begin
            self.done(event)
        elif self._most is not None:
            self._send_more(event.sender)

    def done(self, _event: Any) -> None:
        """All are accepted."""
        self.finish()


def send(place: Place, total: int, body: bytes, *, in_flight: int | None = None) -> float:
    """Send so many durable messages, as many at a time as there is credit, until all are accepted; messages a second.
    At most ``in_flight`` wait for it.

    A message has a body, an id and a content type: less than an event of ours.
    """
    handler = Sender(place, total, body, in_flight=in_flight)
    run(handler)
    if not handler.seconds:
        raise TimeoutError(f"{total} messages were sent and not all accepted")
    return total / handler.seconds
