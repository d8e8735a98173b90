"""A provider that kills its own process at a chosen moment, to see what a crash leaves behind.

::

    provider = CrashingProvider(AMQPProvider("victim", port=proxy.port), at=CrashPoint.HANDLED, nth=3)
    EventManager(provider, registry=registry).run()   # in a process of its own: it ends by SIGKILL

It wraps any provider. Everything is passed on, until the moment comes: then the process gets SIGKILL, which runs no
``finally``, no ``atexit`` and no goodbye to the broker. Nothing of the library knows about it.
"""

from __future__ import annotations

import enum
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Optional

from aspyx_event.envelope import CE_ID, Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Confirmation, Delivery, OnDelivery, OnState, Provider, Subscription, Target
from aspyx_event.testing.proxy import TcpProxy
from aspyx_event.topology import Difference, Topology

_WRITTEN_WITHIN = 30.0
_QUIET = 0.2


class CrashPoint(enum.Enum):
    """Where a process dies. Those called ``..._WRITTEN`` need a proxy, see CrashingProvider."""

    ARRIVED = "arrived"
    """The broker delivered an event; nothing has looked at it."""
    HANDLED = "handled"
    """The listener is done, or the event is dropped as expired; the acceptance is not asked for yet."""
    ACCEPT_WRITTEN = "accept written"
    """The acceptance of an event without copies was written to the connection."""
    RETRY_WRITTEN = "retry written"
    """The copy for a retry (or a replay) was written; no confirmation of it has arrived."""
    RETRY_CONFIRMED = "retry confirmed"
    """The copy for a retry (or a replay) is confirmed; the original is not accepted."""
    ERROR_WRITTEN = "error written"
    """The copy for the error queue was written; no confirmation of it has arrived."""
    ERROR_CONFIRMED = "error confirmed"
    """The copy for the error queue is confirmed; the original is not accepted."""
    RELEASED = "released"
    """An event is to be given back; that is not asked for yet."""
    SEND_WRITTEN = "send written"
    """A new event was written; no confirmation of it has arrived."""


_WRITTEN = (CrashPoint.ACCEPT_WRITTEN, CrashPoint.RETRY_WRITTEN, CrashPoint.ERROR_WRITTEN, CrashPoint.SEND_WRITTEN)


class CrashingProvider(Provider):
    """Passes everything on to ``inner``, and ends this process by SIGKILL when ``at`` comes for the ``nth`` time.

    nth: counted from 1, over all events and listeners of this provider.
    proxy: for the points called ``..._WRITTEN``; ``inner`` has to connect through it. A provider writes in its own
    time, and may have to ask the broker before, so that an event has left can be seen only outside of it: by its id
    among the bytes that go up, which must be in plain (no TLS). From then on the proxy holds back what the broker
    answers, and the process dies when no more bytes follow. An acceptance has no id there: it is taken for written
    when any byte went up after it, so let nothing else be written then.

    Thread-safe. Raises ConfigurationError for arguments that cannot work, and at the point itself when nothing is
    written within 30 s. Needs an operating system with SIGKILL.
    """

    def __init__(self, inner: Provider, *, at: CrashPoint, nth: int = 1, proxy: Optional[TcpProxy] = None) -> None:
        if not isinstance(inner, Provider):
            raise ConfigurationError(f"CrashingProvider({inner!r}): give the Provider that does the work")
        if not isinstance(at, CrashPoint):
            raise ConfigurationError(f"CrashingProvider(at={at!r}): give a CrashPoint")
        if isinstance(nth, bool) or not isinstance(nth, int) or nth < 1:
            raise ConfigurationError(f"CrashingProvider(nth={nth!r}): a number from 1 on")
        if at in _WRITTEN and proxy is None:
            raise ConfigurationError(
                f"CrashingProvider(at={at}) needs proxy=, a TcpProxy that the provider connects through: "
                "only there can be seen that something was written"
            )
        self._inner = inner
        self._at = at
        self._left = nth
        self._lock = threading.Lock()
        self._proxy = proxy
        self.capabilities = inner.capabilities

    def __repr__(self) -> str:
        return f"<CrashingProvider {self._at.value}, {self._left} to go, of {self._inner!r}>"

    # -- the moment

    def reached(self, point: CrashPoint) -> bool:
        """Count a passage of the point; whether it is the one to die at."""
        if point is not self._at:
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0

    def hold_answer_to(self, event_id: str) -> None:
        """As soon as this event is written, no answer of the broker arrives any more."""
        assert self._proxy is not None
        self._proxy.stall_once("down", event_id.encode())

    def die_when_answer_is_held(self) -> None:
        """Die when the event of ``hold_answer_to`` is written, to its last byte."""
        assert self._proxy is not None
        if not self._proxy.wait_for_stall("down", _WRITTEN_WITHIN):
            raise self._nothing_written()
        self._die_when_quiet(self._proxy)

    def die_when_accepted(self, delivery: Delivery) -> None:
        """Accept, and die when something was written."""
        assert self._proxy is not None
        self._proxy.stall("down")
        before = self._proxy.bytes_forwarded("up")
        delivery.accept()
        if not self._proxy.wait_for_bytes("up", before + 1, _WRITTEN_WITHIN):
            raise self._nothing_written()
        self._die_when_quiet(self._proxy)

    def _die_when_quiet(self, proxy: TcpProxy) -> None:
        while proxy.wait_for_bytes("up", proxy.bytes_forwarded("up") + 1, _QUIET):
            pass
        die()

    def _nothing_written(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self!r}: nothing was written within {_WRITTEN_WITHIN:g} s that could be recognised: does the provider "
            f"connect in plain to {self._proxy!r}?"
        )

    # -- what is watched

    def send(self, envelope: Envelope, event: EventDescriptor) -> Confirmation[None]:
        """See Provider."""
        if not self.reached(CrashPoint.SEND_WRITTEN):
            return self._inner.send(envelope, event)
        self.hold_answer_to(envelope.id)
        confirmation = self._inner.send(envelope, event)
        self.die_when_answer_is_held()
        return confirmation

    def subscribe(
        self, listener: EventListenerDescriptor, on_delivery: OnDelivery, *, credit: int, timeout: float
    ) -> Subscription:
        """See Provider."""

        def arrived(delivery: Delivery) -> None:
            if self.reached(CrashPoint.ARRIVED):
                die()
            on_delivery(_Watched(delivery, self))

        return self._inner.subscribe(listener, arrived, credit=credit, timeout=timeout)

    def take(self, queue: str, event_id: str, *, timeout: float) -> Delivery | None:
        """See Provider."""
        delivery = self._inner.take(queue, event_id, timeout=timeout)
        return None if delivery is None else _Watched(delivery, self)

    # -- what is passed on

    def start(self, on_state: OnState, *, timeout: float) -> None:
        """See Provider."""
        self._inner.start(on_state, timeout=timeout)
        self.capabilities = self._inner.capabilities

    def stop(self, *, timeout: float | None) -> None:
        """See Provider."""
        self._inner.stop(timeout=timeout)

    @property
    def server_name(self) -> str:
        """See Provider."""
        return self._inner.server_name

    @property
    def error_queue(self) -> str:
        """See Provider."""
        return self._inner.error_queue

    @property
    def connected(self) -> bool:
        """See Provider."""
        return self._inner.connected

    def queue_name(self, listener: EventListenerDescriptor) -> str:
        """See Provider."""
        return self._inner.queue_name(listener)

    def declare(self, target: Target, *, timeout: float) -> None:
        """See Provider."""
        self._inner.declare(target, timeout=timeout)

    def findings(self) -> list[str]:
        """See Provider."""
        return self._inner.findings()

    def topology(self, targets: Iterable[Target]) -> Topology:
        """See Provider."""
        return self._inner.topology(targets)

    def check(self, targets: Iterable[Target], *, timeout: float) -> list[Difference]:
        """See Provider."""
        return self._inner.check(targets, timeout=timeout)

    def browse(self, queue: str, *, timeout: float) -> Iterator[Envelope]:
        """See Provider."""
        return self._inner.browse(queue, timeout=timeout)


class _Watched(Delivery):
    """A delivery whose settling may be the end."""

    def __init__(self, inner: Delivery, provider: CrashingProvider) -> None:
        self._inner = inner
        self._provider = provider
        self._copied: Optional[CrashPoint] = None

    @property
    def alive(self) -> bool:
        return self._inner.alive

    def read(self) -> Envelope:
        return self._inner.read()

    def accept(self) -> None:
        """The core accepts after a copy only once it is confirmed."""
        if self._provider.reached(self._copied or CrashPoint.HANDLED):
            die()
        if self._copied is None and self._provider.reached(CrashPoint.ACCEPT_WRITTEN):
            self._provider.die_when_accepted(self._inner)
        self._inner.accept()

    def release(self) -> None:
        if self._provider.reached(CrashPoint.RELEASED):
            die()
        self._inner.release()

    def forward(self, destination: str, headers: Mapping[str, str], *, delay: float = 0) -> Confirmation[None]:
        dead = destination == self._provider.error_queue
        self._copied = CrashPoint.ERROR_CONFIRMED if dead else CrashPoint.RETRY_CONFIRMED
        if not self._provider.reached(CrashPoint.ERROR_WRITTEN if dead else CrashPoint.RETRY_WRITTEN):
            return self._inner.forward(destination, headers, delay=delay)
        self._provider.hold_answer_to(headers.get(CE_ID) or self._inner.read().id)
        confirmation = self._inner.forward(destination, headers, delay=delay)
        self._provider.die_when_answer_is_held()
        return confirmation

    def __repr__(self) -> str:
        return f"<watched {self._inner!r}>"


def die() -> None:
    """End this process as a crash would, without a word. Does not return."""
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()
