"""A queue that holds very many events, and a consumer whose memory stays flat."""

from __future__ import annotations

import dataclasses
import gc
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Callable

from aspyx_event import EventManager, EventRegistry, event, event_listener
from tests.faults.load.process import Usage

_EVERY = 0.5
_PAYLOAD = "x" * 100


@dataclass
class QueueResult:
    """``samples``: seconds since the start of the consumer, events handled, RSS in MiB."""

    events: int
    filled: float
    samples: list[tuple[float, int, float]] = field(default_factory=list)
    missing: int = 0
    duplicates: int = 0

    @property
    def growth(self) -> float:
        """MiB between the first tenth of the queue and the highest point after it."""
        early = [rss for _, handled, rss in self.samples if handled >= self.events // 10]
        return max(early) - early[0] if early else 0.0

    def __str__(self) -> str:
        seconds = self.samples[-1][0] or 1.0
        return (
            f"{self.events} events: filled in {self.filled:.0f} s ({self.events / self.filled:.0f}/s), handled in "
            f"{seconds:.0f} s ({self.events / seconds:.0f}/s), RSS {self.samples[0][2]:.1f} MiB at the start, at most "
            f"{max(rss for _, _, rss in self.samples):.1f} MiB, grown by {self.growth:.1f} MiB after the first tenth, "
            f"{self.missing} missing, {self.duplicates} duplicates"
        )


class _Count:
    """Which numbers came, in one byte each."""

    def __init__(self, events: int) -> None:
        self._times = bytearray(events)
        self._lock = threading.Lock()
        self.handled = 0
        self.duplicates = 0
        self.done = threading.Event()

    def enter(self, number: int) -> None:
        with self._lock:
            if self._times[number]:
                self.duplicates += 1
                return
            self._times[number] = 1
            self.handled += 1
            if self.handled == len(self._times):
                self.done.set()


def run(url: str, prefix: str, events: int, *, timeout: float, say: Callable[[str], object] = str) -> QueueResult:
    """Fill, then consume. Raises AssertionError when nothing is handled for ``timeout`` seconds."""
    made = dataclasses.make_dataclass("Entry", [("number", int), ("payload", str)])
    kind: Any = event(name=f"{prefix}.entry", durable=True)(made)
    count = _Count(events)

    @event_listener(kind, name="counter")
    def hear(entry: Any) -> None:
        count.enter(entry.number)

    registry = EventRegistry()
    registry.register(hear)
    began = time.monotonic()
    filler = EventManager(url, registry=registry)
    filler.start(listen=False)
    try:
        filler.send_events((kind(number, _PAYLOAD) for number in range(events)), timeout=60)
    finally:
        filler.stop()
    result = QueueResult(events, time.monotonic() - began)
    say(f"filled after {result.filled:.0f} s")
    del filler
    gc.collect()
    _consume(EventManager(url, registry=registry), count, result, timeout, say)
    result.missing, result.duplicates = events - count.handled, count.duplicates
    return result


def _consume(
    manager: EventManager, count: _Count, result: QueueResult, timeout: float, say: Callable[[str], object]
) -> None:
    began = last = time.monotonic()
    result.samples.append((0.0, 0, Usage.now().rss))
    manager.start()
    try:
        while not count.done.wait(_EVERY):
            now = time.monotonic()
            if count.handled > result.samples[-1][1]:
                last = now
            assert now - last < timeout, f"{count.handled} of {result.events} handled, then nothing for {timeout:g} s"
            result.samples.append((now - began, count.handled, Usage.now().rss))
            if len(result.samples) % 20 == 0:
                say(table(result.samples[-1:]))
        result.samples.append((time.monotonic() - began, count.handled, Usage.now().rss))
    finally:
        manager.stop()


def table(samples: Iterable[tuple[float, int, float]]) -> str:
    """One line for each sample."""
    return "\n".join(f"{seconds:7.1f} s  {handled:9d} handled  {rss:7.1f} MiB" for seconds, handled, rss in samples)
