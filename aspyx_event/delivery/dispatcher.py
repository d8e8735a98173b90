"""The dispatcher: workers for all listeners of a manager, and the way they end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable

from aspyx_event.codec import Codec
from aspyx_event.delivery.attempt import Attempts
from aspyx_event.delivery.inbox import Inbox
from aspyx_event.delivery.loop import LoopThread
from aspyx_event.delivery.outcome import Observer, Result
from aspyx_event.delivery.process import abandoned_threads
from aspyx_event.delivery.settlement import Settlement
from aspyx_event.delivery.turns import Turns
from aspyx_event.delivery.wiring import policy_of
from aspyx_event.delivery.worker import ListenerWorker
from aspyx_event.envelope import shown
from aspyx_event.exception_manager import ExceptionManager
from aspyx_event.exceptions import ConfigurationError, ProviderError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.pipeline import EnvelopePipeline
from aspyx_event.provider import Provider
from aspyx_event.retry import RetryPolicy
from aspyx_event.timing import SYSTEM_CLOCK, Clock, Deadline

logger = logging.getLogger(__name__)

WATCH_EVERY = 10.0


def last_steps(deadline: Deadline) -> float:
    """Seconds for what has to be done at the end also when a listener has used up all the time."""
    return max(1.0, deadline.left() or 0.0)


@dataclass(frozen=True)
class Abandoned:
    """A delivery whose listener did not return in time; the broker has it back. ``seconds``: how long it ran."""

    listener: str
    event_id: str
    seconds: float


@dataclass(frozen=True)
class StopResult:
    """What ``stop`` found: deliveries that finished meanwhile, released unstarted ones, abandoned ones."""

    finished: int = 0
    released: int = 0
    abandoned: tuple[Abandoned, ...] = ()


@dataclass(frozen=True)
class DispatcherSettings:
    """What the dispatcher shares with its manager. ``workers`` is the number of threads."""

    workers: int
    codec: Codec
    exceptions: ExceptionManager
    policy: RetryPolicy
    observers: tuple[Observer, ...]
    clock: Clock = SYSTEM_CLOCK


class Dispatcher:
    """One executor, loop, timer and lookout thread for all listeners. Single use: made by start, done by stop."""

    def __init__(
        self,
        provider: Provider,
        settings: DispatcherSettings,
        *,
        pipelines: Sequence[EnvelopePipeline],
        known_events: Callable[[], Sequence[str]],
    ) -> None:
        self._provider = provider
        self._settings = settings
        self._pipelines = pipelines
        self._known_events = known_events
        self._stopping = threading.Event()
        self._abandoning = threading.Event()
        self._changed = threading.Condition()
        self._finished = 0
        self._released = 0
        self.loop = LoopThread()
        self._scheduler = settings.clock.scheduler("aspyx-timer")
        self._threads: set[threading.Thread] = set()
        self._executor = ThreadPoolExecutor(
            settings.workers,
            thread_name_prefix="aspyx-worker",
            initializer=lambda: self._threads.add(threading.current_thread()),
        )
        self._turns = Turns(self._executor, settings.workers, settings.clock.submitted)
        self._workers: dict[str, ListenerWorker] = {}

    @property
    def workers(self) -> tuple[ListenerWorker, ...]:
        """One for each listener."""
        return tuple(self._workers.values())

    def add(self, listener: EventListenerDescriptor, target: Any, *, concurrency: int) -> None:
        """Make the worker of a listener. By one thread, in the order in which they are listed."""
        inbox = Inbox(concurrency, clock=self._settings.clock)
        worker = ListenerWorker(
            listener,
            inbox=inbox,
            attempts=Attempts(
                listener,
                target,
                codec=self._settings.codec,
                pipelines=self._pipelines,
                loop=self.loop,
                known_events=self._known_events,
                abandoned=self._abandoning,
            ),
            settlement=Settlement(
                listener, queue=self._provider.queue_name(listener), error_queue=self._provider.error_queue
            ),
            policy=policy_of(listener, self._settings.policy),
            exceptions=self._settings.exceptions,
            submit=self._turns.submit,
            goes_on=self._turns.goes_on,
            scheduler=self._scheduler,
            stopping=self._stopping,
            settled=self._notify,
            ended=self._count,
            observers=self._settings.observers,
            clock=self._settings.clock,
        )
        self._workers[listener.name] = worker

    def attach(self, listener: EventListenerDescriptor, *, timeout: float) -> None:
        """Start to receive for a listener; deliveries wait until ``open``. Thread-safe. Raises what the provider
        raises."""
        worker = self._workers[listener.name]
        credit = worker.credit.current
        worker.attached(self._provider.subscribe(listener, worker.on_delivery, credit=credit, timeout=timeout))

    def open(self) -> None:
        """Start to handle: the manager runs, so listeners may send."""
        if self._workers:
            if self._settings.clock is SYSTEM_CLOCK:  # a test's hears of threads, not of what waits for one
                self._turns.open()
            self._watch()
        for worker in self.workers:
            worker.open()

    def set_detached(self, queue: str, error: BaseException | None) -> list[str]:
        """The broker does not deliver from this queue, or does again (None); answers who reads it."""
        readers = [worker for worker in self.workers if worker.queue == queue]
        for worker in readers:
            worker.detached = None if error is None else str(error)
        return [worker.listener.name for worker in readers]

    def pause(self, names: Sequence[str]) -> None:
        """Hold listeners, all without names. Raises ConfigurationError for one that is not attached here."""
        chosen = [worker for worker in self._chosen(names) if worker.pause()]
        if chosen:
            logger.info("paused: %s", ", ".join(worker.listener.name for worker in chosen))

    def resume(self, names: Sequence[str]) -> None:
        """Undo ``pause``, in the same way."""
        chosen = [worker for worker in self._chosen(names) if worker.resume()]
        if chosen:
            logger.info("resumed: %s", ", ".join(worker.listener.name for worker in chosen))

    def _chosen(self, names: Sequence[str]) -> list[ListenerWorker]:
        unknown = [name for name in names if name not in self._workers]
        if unknown:
            raise ConfigurationError(
                f"no listener {unknown[0]!r} is attached here: the names are {sorted(self._workers)}"
            )
        return [self._workers[name] for name in (names or self._workers)]

    def owns_current_thread(self) -> bool:
        """Whether the caller is a listener, sync or async, or an observer."""
        return threading.current_thread() in self._threads or self.loop.owns_current_thread()

    def may_send(self) -> bool:
        """Whether the caller is a listener that has not been given up: it may send while the manager stops."""
        return self.owns_current_thread() and not self._abandoning.is_set()

    # -- the end

    def stop(self, deadline: Deadline) -> StopResult:
        """No new deliveries, waiting ones released unstarted, running ones finished, all within the deadline."""
        self._stopping.set()
        self._settings.clock.interrupt()
        self._each_subscription(lambda s: s.pause())
        self._released += sum(worker.inbox.close() for worker in self.workers)
        self._each_subscription(lambda s: s.close(deadline.left()))
        with self._changed:
            self._changed.wait_for(self._idle, deadline.left())
        abandoned = tuple(self._abandon())
        for worker in self.workers:
            worker.log.close()
        self._scheduler.close(last_steps(deadline))
        abandoned_threads.add(self.loop.stop(last_steps(deadline)))
        self._turns.close(last_steps(deadline))
        self._executor.shutdown(wait=False, cancel_futures=True)
        end = Deadline(0.25 if abandoned else last_steps(deadline))  # a cancelled coroutine's worker ends in a moment
        for thread in tuple(self._threads):  # shutdown(wait=True) would wait for ever for an observer that blocks
            thread.join(end.left())
            abandoned_threads.add(thread)
        return StopResult(self._finished, self._released, abandoned)

    def _each_subscription(self, call: Callable[[Any], None]) -> None:
        for worker in self.workers:
            if worker.subscription is None:
                continue
            try:
                call(worker.subscription)
            except ProviderError as error:
                logger.warning("listener %s: its subscription did not close: %s", worker.listener.name, error)

    def _idle(self) -> bool:
        return not any(worker.inbox.running for worker in self.workers)

    def _abandon(self) -> Iterable[Abandoned]:
        """Give up on listeners that do not return; their later settlement does nothing any more."""
        self._abandoning.set()
        for worker in self.workers:
            for item in worker.inbox.running:
                item.delivery.release()
                seconds = time.monotonic() - item.started_at
                logger.error(
                    "listener %s did not finish event %s (%.0f s in thread %s): the event is given back",
                    worker.listener.name, shown(item.envelope.id), seconds, item.thread.name if item.thread else "?",
                )  # fmt: skip
                abandoned_threads.add(item.thread)
                yield Abandoned(worker.listener.name, item.envelope.id, seconds)

    def _count(self, result: Result) -> None:
        with self._changed:
            if result is Result.RELEASED:
                self._released += 1
            else:
                self._finished += 1

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _watch(self) -> None:
        self._scheduler.call_later(WATCH_EVERY, self._watch, daemon=True)
        self._turns.wake()
        for worker in self.workers:
            worker.wake()
            worker.warn_of_long_runners()

    def __repr__(self) -> str:
        running = sum(len(worker.inbox.running) for worker in self.workers)
        state = " stopping" if self._stopping.is_set() else ""
        return f"<Dispatcher {len(self._workers)} listeners, {running} running{state}>"
