"""What do 2 and 4 consumer processes on one queue bring, and what bounds them?

The queue is filled before, and nobody sends meanwhile. Each process counts what its listener handled; the rate is that
of all of them, between the moment when all have begun and the one when four fifths are handled.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tests.benchmarks import ours
from tests.benchmarks.curves.record import Point
from tests.benchmarks.processes import processor_seconds, tree
from tests.benchmarks.samples import Place, place

COUNTS = (1, 2, 4)
_ROUNDS = 3
_POLL = 0.02
_PATIENCE = 300.0


def points(broker: Any, *, total: int, size: int) -> Iterator[Point]:
    """A point for each number of processes; the best of some rounds."""
    at = place("amqp", broker)
    ours.declare(at)
    for count in COUNTS:
        rounds = [_round(at, broker.process_id, count, total * 4, size) for _ in range(_ROUNDS)]
        yield {"broker": broker.name, "consumers": count, **max(rounds, key=lambda found: found["events/s"])}


def _round(at: Place, broker: int, count: int, total: int, size: int) -> dict[str, float]:
    ours.send_many(at, total, size)
    spawning = multiprocessing.get_context("spawn")
    counts, end = spawning.Array("q", count, lock=False), spawning.Event()
    consumers = [spawning.Process(target=_consume, args=(at, counts, place_, end)) for place_ in range(count)]
    for consumer in consumers:
        consumer.start()
    try:
        return _watch(counts, total, [consumer.pid for consumer in consumers if consumer.pid], tree(broker))
    finally:
        _until(lambda: sum(counts) >= total)
        end.set()
        for consumer in consumers:
            consumer.join()


def _consume(at: Place, counts: Any, own: int, end: Any) -> None:
    lock = threading.Lock()

    def on_event(_event: object) -> None:
        with lock:
            counts[own] += 1

    with ours.running(at, listen=True, on_event=on_event):
        end.wait()


def _watch(counts: Any, total: int, consumers: Sequence[int], server: Sequence[int]) -> dict[str, float]:
    _until(lambda: all(counts))
    begin, handled = time.monotonic(), sum(counts)
    taken, at_server, busy = processor_seconds(consumers), processor_seconds(server), _busy()
    _until(lambda: sum(counts) >= total * 4 // 5)
    took, events = time.monotonic() - begin, sum(counts) - handled
    return {
        "events/s": events / took,
        "consumers CPU us/event": (processor_seconds(consumers) - taken) / events * 1e6,
        "broker CPU us/event": (processor_seconds(server) - at_server) / events * 1e6,
        "processors busy": (_busy() - busy) / took,
        "of these, ours": (processor_seconds(consumers) - taken) / took,
        "of these, the broker's": (processor_seconds(server) - at_server) / took,
    }


def _until(condition: Any) -> None:
    pause, deadline = threading.Event(), time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the consumers did not handle what was sent in time")
        pause.wait(_POLL)


def _busy() -> float:
    """Seconds that the processors of the machine were busy with anything, all together."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _idle, _wait, irq, soft = map(int, stat.readline().split()[1:8])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")
