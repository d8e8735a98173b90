"""From before the send to the listener, at a steady rate, in one process and so by one clock."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

from tests.benchmarks import ours, raw_proton
from tests.benchmarks.measuring import Figures, percentiles
from tests.benchmarks.raw_blocking import BlockingClient
from tests.benchmarks.samples import PATIENCE, Place, Sample

RATE = 500.0
_WARM_UP = 50


def _paced(count: int, send: Callable[[], None]) -> None:
    """Call ``send`` so often; one that comes late because the one before took long is not made up for by the clock."""
    pause = threading.Event()
    begin = time.perf_counter()
    for number in range(count):
        left = begin + number / RATE - time.perf_counter()
        if left > 0:
            pause.wait(left)
        send()


def of_ours(place: Place, count: int) -> Figures:
    """``send_event`` in one thread, the listener in the same manager."""
    found: list[float] = []
    done = threading.Event()

    def on_event(event: Sample) -> None:
        found.append((time.perf_counter_ns() - event.n) / 1e9)
        if len(found) == count:
            done.set()

    with ours.running(place, listen=True, on_event=on_event) as manager:
        _paced(count, lambda: manager.send_event(Sample(time.perf_counter_ns(), "x" * 160)))
        if not done.wait(PATIENCE):
            raise TimeoutError(f"{len(found)} of {count} events have come")
    return percentiles(found[_WARM_UP:])


def of_raw(place: Place, count: int) -> Figures:
    """The blocking client in one thread, a MessagingHandler in another."""
    found: list[float] = []

    def on_body(body: bytes) -> None:
        found.append((time.perf_counter_ns() - int(json.loads(bytes(body))["n"])) / 1e9)

    reader = threading.Thread(target=raw_proton.receive, args=(place, count), kwargs={"on_body": on_body})
    reader.start()
    with BlockingClient(place) as client:
        _paced(count, lambda: client.send(b'{"n":%d,"t":"%s"}' % (time.perf_counter_ns(), b"x" * 160)))
    reader.join(PATIENCE)
    if len(found) != count:
        raise TimeoutError(f"{len(found)} of {count} messages have come")
    return percentiles(found[_WARM_UP:])
