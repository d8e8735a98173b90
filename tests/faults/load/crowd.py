"""Many event types, many listeners, many sending threads, in one process."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aspyx_event import EventManager, EventRegistry, event, event_listener
from tests.faults.waiting import wait_until


@dataclass(frozen=True)
class Crowd:
    """How many of everything. Listener ``n`` hears event type ``n % types``."""

    types: int = 200
    listeners: int = 500
    senders: int = 16
    workers: int = 32
    events: int = 4_000

    @property
    def deliveries(self) -> int:
        """How often an event has to be handled in all: once by each listener of its type."""
        return sum(1 for number in range(self.events) for _ in range(number % self.types, self.listeners, self.types))


@dataclass(frozen=True)
class CrowdResult:
    """Seconds for each step; ``wrong``: (listener, number) pairs handled not exactly once."""

    started: float
    sent: float
    handled: float
    stopped: float
    wrong: dict[tuple[int, int], int]
    abandoned: int

    def __str__(self) -> str:
        return (
            f"start {self.started:.1f} s, all sent after {self.sent:.1f} s, all handled after {self.handled:.1f} s, "
            f"stop {self.stopped:.1f} s, {len(self.wrong)} not handled exactly once, {self.abandoned} abandoned"
        )


class _Account:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: Counter[tuple[int, int]] = Counter()

    def enter(self, listener: int, number: int) -> None:
        with self._lock:
            self._times[listener, number] += 1

    def __len__(self) -> int:
        return len(self._times)

    def wrong(self, crowd: Crowd) -> dict[tuple[int, int], int]:
        expected = {
            (listener, number)
            for number in range(crowd.events)
            for listener in range(number % crowd.types, crowd.listeners, crowd.types)
        }
        with self._lock:
            return {pair: self._times[pair] for pair in expected | set(self._times) if self._times[pair] != 1}


def _event_type(number: int, prefix: str) -> Any:
    made = dataclasses.make_dataclass(f"Kind{number}", [("number", int)])
    return event(name=f"{prefix}.kind{number}", durable=True)(made)


def _listener(number: int, kind: Any, account: _Account) -> Any:
    @event_listener(kind, name=f"listener{number}")
    def hear(happened: Any) -> None:
        account.enter(number, happened.number)

    return hear


def run(url: str, prefix: str, crowd: Crowd, *, timeout: float = 60) -> CrowdResult:
    """Start, send, wait for everything, stop. Raises what a start or a send raises; AssertionError when late."""
    account = _Account()
    kinds = [_event_type(number, prefix) for number in range(crowd.types)]
    registry = EventRegistry()
    registry.register(*(_listener(n, kinds[n % crowd.types], account) for n in range(crowd.listeners)))
    manager = EventManager(url, registry=registry, workers=crowd.workers)
    begin = time.monotonic()
    manager.start()
    started = time.monotonic()
    try:
        with ThreadPoolExecutor(crowd.senders) as senders:
            for _ in senders.map(lambda n: manager.send_event(kinds[n % crowd.types](n)), range(crowd.events)):
                pass
        sent = time.monotonic()
        wait_until(
            lambda: len(account) >= crowd.deliveries,
            lambda: f"{len(account)} of {crowd.deliveries} handled",
            timeout=timeout,
        )
        handled = time.monotonic()
    finally:
        ending = time.monotonic()
        result = manager.stop()
    stopped = time.monotonic() - ending
    return CrowdResult(
        started - begin, sent - started, handled - started, stopped, account.wrong(crowd), len(result.abandoned)
    )
