"""The same through the library, with its defaults."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Callable

from aspyx_event import EventManager
from tests.benchmarks.samples import Counting, Meter, Nothing, Place, Sample, registry


@contextmanager
def running(place: Place, *, listen: bool, on_event: Callable[[Sample], Any] | None = None) -> Iterator[EventManager]:
    """A manager that runs, and its listener doing ``on_event``."""
    Counting.meaning = on_event or Nothing()
    manager = EventManager(place.url, registry=registry())
    manager.start(listen=listen)
    try:
        yield manager
    finally:
        manager.stop()
        Counting.meaning = Nothing()


def declare(place: Place) -> None:
    """Have the listener's queue made."""
    with running(place, listen=False):
        pass


def receive(place: Place, total: int) -> float:
    """Receive, decode, validate, hand to the listener and accept; events a second."""
    meter = Meter(total)
    with running(place, listen=True, on_event=lambda _event: meter.hit()):
        return meter.rate()


def send_many(place: Place, total: int, size: int) -> float:
    """One ``send_events``; events a second."""
    events = [Sample.of_size(size) for _ in range(total)]
    with running(place, listen=False) as manager:
        manager.send_event(events[0])  # the link is attached with the first
        begin = time.perf_counter()
        manager.send_events(events[1:])
        return (total - 1) / (time.perf_counter() - begin)


def send_each(place: Place, total: int, size: int) -> list[float]:
    """``send_event`` in one thread; the seconds of each."""
    event = Sample.of_size(size)
    with running(place, listen=False) as manager:
        manager.send_event(event)
        return [timed(lambda: manager.send_event(event)) for _ in range(total - 1)]


def send_threads(place: Place, total: int, size: int, *, threads: int) -> float:
    """``send_event`` in several threads at once; events a second."""
    event = Sample.of_size(size)
    share = total // threads
    ready = threading.Barrier(threads + 1)

    def work() -> None:
        ready.wait()
        for _ in range(share):
            manager.send_event(event)

    with running(place, listen=False) as manager, ThreadPoolExecutor(threads) as pool:
        manager.send_event(event)
        done = [pool.submit(work) for _ in range(threads)]
        ready.wait()
        begin = time.perf_counter()
        for future in done:
            future.result()
        return share * threads / (time.perf_counter() - begin)


def timed(call: Callable[[], Any]) -> float:
    """How many seconds a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
