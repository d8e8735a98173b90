"""Queues that RabbitMQ has only just made: what is confirmed into one is not safe yet.

The broker writes the names of new quorum queues to the disk half a second after the last change of that list. One that
is killed before comes back with an empty queue in its place, which has no leader, and what it had confirmed is gone
(measured with 4.0.5; a queue of 0.6 s was lost so on a busy machine). Queues of listeners are made at a start, long
before most events. Those of delays are made when they are first needed, every hour: this module is for them.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Generic, Optional, Protocol, TypeVar

from aspyx_event.exceptions import ProviderUnavailable
from aspyx_event.provider import Confirmation
from aspyx_event.providers.network.futures import Answer, fail, resolve
from aspyx_event.timing import Scheduler

YOUTH = 3.0
"""Seconds for which a queue is young, from the first confirmation on that this process has seen."""
_PATIENCE = 5.0
_MANY = 1000


class Sendable(Protocol):
    """A message of either protocol."""

    @property
    def waits_in(self) -> Optional[str]:
        """The queue, if it may be young."""


M = TypeVar("M", bound=Sendable)


class Nursery(Generic[M]):
    """Sends into queues that may be young. Thread-safe; nothing here blocks.

    A confirmation is held back until its queue is old enough, and given if the connection has stood until then. If it
    has not, the message is sent again, to a queue of another name: ``name`` says which.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._born: dict[str, float] = {}
        self._generations: dict[str, int] = {}
        self._guarded: dict[_Guarded, None] = {}
        self._scheduler: Optional[Scheduler] = None

    def name(self, queue: str) -> str:
        """What a queue is called at the moment: a number at its end tells it from those that may be broken."""
        with self._lock:
            generation = self._generations.get(queue, 0)
        return f"{queue}{generation:02d}" if generation else queue

    def send(self, make: Callable[[], M], send: Callable[[M], Confirmation[None]]) -> Confirmation[None]:
        """Send what ``make`` makes, which is called again when it has to be sent again."""
        message = make()
        if message.waits_in is None:
            return send(message)
        guarded = _Guarded(self, lambda: send(make()), message.waits_in)
        with self._lock:
            self._guarded[guarded] = None
        guarded.begin(send(message))
        return guarded.outer

    def lost(self) -> None:
        """The connection has ended: the queues that were young may be broken."""
        now = time.monotonic()
        with self._lock:
            young = {queue for queue, born in self._born.items() if now - born < YOUTH}
            again = [guarded for guarded in self._guarded if guarded.queue in young or guarded.queue not in self._born]
            for queue in young.union(guarded.queue for guarded in again):
                self.forsake(queue)
        for guarded in again:
            guarded.again()

    def close(self) -> None:
        """The provider has stopped: nothing is confirmed any more."""
        with self._lock:
            scheduler, self._scheduler = self._scheduler, None
            left, self._guarded = list(self._guarded), {}
        if scheduler is not None:
            scheduler.close()
        for guarded in left:
            fail(guarded.outer, ProviderUnavailable("the provider was stopped"))

    # -- for what is guarded

    def age(self, queue: str) -> float:
        """Seconds since a queue has first confirmed something."""
        now = time.monotonic()
        with self._lock:
            if len(self._born) > _MANY:
                self._born = {name: born for name, born in self._born.items() if now - born < YOUTH}
            return now - self._born.setdefault(queue, now)

    def forsake(self, queue: str) -> None:
        """Use another one from now on."""
        with self._lock:
            if len(self._generations) > _MANY:  # their hours are over
                self._generations.clear()
            self._generations[queue] = self._generations.get(queue, 0) + 1
            self._born.pop(queue, None)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call it in so many seconds."""
        with self._lock:
            if self._scheduler is None:
                self._scheduler = Scheduler("aspyx-rabbitmq-nursery")
            self._scheduler.call_later(seconds, call)

    def done(self, guarded: _Guarded) -> None:
        """It is out of here."""
        with self._lock:
            self._guarded.pop(guarded, None)


class _Guarded:
    """One message until it is safe."""

    def __init__(self, nursery: Nursery[Any], send: Callable[[], Confirmation[None]], queue: str) -> None:
        self._nursery = nursery
        self._lock = threading.Lock()
        self._inner: Optional[Confirmation[None]] = None
        self._begun = time.monotonic()
        self._send = send
        self.queue = queue
        self.outer: Confirmation[None] = Answer()
        self.outer.add_done_callback(self._ended)

    def begin(self, inner: Confirmation[None]) -> None:
        """It is on its way."""
        with self._lock:
            self._inner = inner
        inner.add_done_callback(self._answered)

    def again(self) -> None:
        """Whatever became of it, it is sent once more."""
        with self._lock:
            inner, self._inner = self._inner, None
        if inner is not None and not self.outer.done():
            inner.cancel()
            self.begin(self._send())

    def _answered(self, inner: Confirmation[None]) -> None:
        if inner.cancelled() or not self._is_current(inner):
            return
        error = inner.exception()
        if error is not None:
            self._nursery.forsake(self.queue)
            fail(self.outer, error)
            return
        left = YOUTH - self._nursery.age(self.queue)
        if left > 0:
            self._nursery.later(left, lambda: self._grown(inner))
        else:
            resolve(self.outer)

    def _grown(self, inner: Confirmation[None]) -> None:
        if self._is_current(inner):
            resolve(self.outer)

    def _is_current(self, inner: Confirmation[None]) -> bool:
        with self._lock:
            return inner is self._inner

    def _ended(self, outer: Confirmation[None]) -> None:
        self._nursery.done(self)
        with self._lock:
            inner = self._inner
        if outer.cancelled() and inner is not None and inner.cancel() and time.monotonic() - self._begun > _PATIENCE:
            self._nursery.forsake(self.queue)  # nobody answers there: it may have no leader
