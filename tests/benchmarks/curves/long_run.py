"""Does it become slower, or larger, with time? One process sends and handles as fast as it can."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks import ours
from tests.benchmarks.curves.record import Point
from tests.benchmarks.processes import processor_seconds, resident_mb, tree
from tests.benchmarks.samples import PATIENCE, Sample, place

_BATCH = 256
_WINDOW = 2048
"""Events sent and not handled yet, at most: the queue must not grow."""


class Load:
    """Sends in a thread of its own as long as the listener keeps up. ``handled`` is the listener's count."""

    def __init__(self, send: Any, size: int) -> None:
        self._send = send
        self._events = [Sample.of_size(size) for _ in range(_BATCH)]
        self._changed = threading.Condition()
        self._ending = False
        self.sent = self.handled = 0
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="load")

    def on_event(self, _event: Sample) -> None:
        """Count it."""
        with self._changed:
            self.handled += 1
            if not self.handled % _BATCH:
                self._changed.notify_all()

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Send no more, wait until all is handled. Raises what stopped the sender, and TimeoutError."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join()
        if self.failure:
            raise self.failure
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while self.handled < self.sent:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.sent} events were sent, {self.handled} handled")
                self._changed.wait(0.1)

    def _run(self) -> None:
        try:
            while self._may_send():
                self._send(self._events)
                self.sent += _BATCH
        except Exception as error:  # noqa: BLE001 - raised by end()
            self.failure = error

    def _may_send(self) -> bool:
        with self._changed:
            while not self._ending and self.sent - self.handled > _WINDOW - _BATCH:
                self._changed.wait(PATIENCE)
            return not self._ending


def points(broker: Any, minutes: float, *, every: float, size: int) -> Iterator[Point]:
    """A point every few seconds: events handled a second, processor time of each, memory, threads, descriptors."""
    at, pause = place("amqp", broker), threading.Event()
    ours.declare(at)
    load: Load | None = None
    with ours.running(at, listen=True, on_event=lambda event: load.on_event(event) if load else None) as manager:
        load = Load(manager.send_events, size)
        load.begin()
        begin = time.monotonic()
        server = tree(broker.process_id)
        while time.monotonic() - begin < minutes * 60 and load.failure is None:
            handled, since, taken, at_server = _now(load, server)
            pause.wait(every)
            more, until, later, server_later = _now(load, server)
            count = more - handled
            yield {
                "broker": broker.name,
                "s": until - begin,
                "events/s": count / (until - since),
                "CPU us/event": (later - taken) / count * 1e6 if count else None,
                "broker CPU us/event": (server_later - at_server) / count * 1e6 if count else None,
                "MB": resident_mb(),
                "broker MB": sum(resident_mb(pid) for pid in server),
                "threads": threading.active_count(),
            }
        load.end()


def _now(load: Load, server: list[int]) -> tuple[int, float, float, float]:
    return load.handled, time.monotonic(), time.process_time(), processor_seconds(server)
