"""What an operator wants to know: counters and states."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from aspyx_event.delivery.dead_letters import text_of
from aspyx_event.delivery.outcome import Result


@dataclass(frozen=True)
class ListenerHealth:
    """One listener in this process since ``start()``.

    state: running, throttled (it only fails and is probed), paused (by ``pause()``, or because a copy could not be
    written), detached (the broker refused the subscription or the connection is gone), stopped. detail: why it is
    throttled, paused or detached; None while it runs or is stopped.
    in_flight: deliveries handed over and not settled. handled, failed, dead_lettered: successful deliveries, failed
    attempts, events in the error queue. last_handled_at: Unix time. expired: events whose time to live was over.
    """

    state: str
    in_flight: int
    handled: int
    failed: int
    dead_lettered: int
    last_error: Optional[str]
    last_handled_at: Optional[float]
    expired: int = 0
    detail: Optional[str] = None


@dataclass(frozen=True)
class Health:
    """A manager's health. status: ``ok``, ``degraded`` (something is detached, paused or throttled), ``down``.

    live: the manager runs. ready: it runs, is connected, and no listener is detached.
    """

    status: str
    live: bool
    ready: bool
    listeners: Mapping[str, ListenerHealth] = field(default_factory=dict)


class Counters:
    """Counts the outcomes of one listener. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.handled = 0
        self.failed = 0
        self.dead_lettered = 0
        self.expired = 0
        self.last_error: Optional[str] = None
        self.last_handled_at: Optional[float] = None

    def count_handled(self) -> None:
        """Add one that was handled at once."""
        with self._lock:
            self.handled += 1
            self.last_handled_at = time.time()

    def count(self, result: Result, *, failures: int = 0, error: Optional[BaseException] = None) -> None:
        """Add what became of one delivery, with its failed attempts and the error of the last of them."""
        now = time.time()
        with self._lock:
            if result is Result.HANDLED:
                self.handled += 1
                self.last_handled_at = now
            elif result is Result.DEAD_LETTERED:
                self.dead_lettered += 1
            elif result is Result.EXPIRED:
                self.expired += 1
            self.failed += failures
            if error is not None:
                self.last_error = f"{type(error).__name__}: {text_of(error)}"

    def health(self, *, state: str, in_flight: int, detail: Optional[str] = None) -> ListenerHealth:
        """A snapshot."""
        with self._lock:
            return ListenerHealth(
                state=state,
                in_flight=in_flight,
                handled=self.handled,
                failed=self.failed,
                dead_lettered=self.dead_lettered,
                last_error=self.last_error,
                last_handled_at=self.last_handled_at,
                expired=self.expired,
                detail=detail,
            )


def overall(*, running: bool, connected: bool, listeners: Mapping[str, ListenerHealth]) -> Health:
    """The health of a manager from that of its parts."""
    detached = any(listener.state == "detached" for listener in listeners.values())
    ready = running and connected and not detached
    troubled = any(listener.state in ("detached", "paused", "throttled") for listener in listeners.values())
    status = "down" if not running or not connected else ("degraded" if troubled else "ok")
    return Health(status=status, live=running, ready=ready, listeners=dict(listeners))
