"""LocalProvider beside a bare thread pool."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from aspyx_event import EventManager, LocalProvider
from tests.benchmarks.measuring import RATE, Figures
from tests.benchmarks.samples import PATIENCE, Counting, Meter, Nothing, Sample, registry

WORKERS = 6


def of_ours(total: int, size: int) -> Figures:
    """``send_events`` until the listener has seen the last."""
    events = [Sample.of_size(size) for _ in range(total)]
    meter = Meter(total)
    Counting.meaning = lambda _event: meter.hit()
    try:
        with EventManager(LocalProvider(), registry=registry(), workers=WORKERS) as manager:
            begin = time.perf_counter()
            manager.send_events(events)
            meter.rate()
            return {RATE: total / (time.perf_counter() - begin)}
    finally:
        Counting.meaning = Nothing()


def of_raw(total: int, size: int) -> Figures:
    """``submit`` all, then every ``result``: nothing is encoded, checked, or kept when it fails."""
    event = Sample.of_size(size)
    meter = Meter(total)
    with ThreadPoolExecutor(WORKERS) as pool:
        begin = time.perf_counter()
        for future in [pool.submit(lambda _event: meter.hit(), event) for _ in range(total)]:
            future.result(PATIENCE)
        return {RATE: total / (time.perf_counter() - begin)}
