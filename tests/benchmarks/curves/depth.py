"""Does an event cost more where a million others wait before it?

The queue is filled by the library, in processes of their own. At each depth, and before anything waits, so many events
are sent, and as many received: what is received first has waited longest.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tests.benchmarks import ours
from tests.benchmarks.curves.record import Point
from tests.benchmarks.processes import processor_seconds, resident_mb, tree
from tests.benchmarks.samples import Meter, Place, place

SENDERS = 2
_CHUNK = 10_000
_ROUNDS = 3


def points(broker: Any, depths: Sequence[int], *, total: int, size: int) -> Iterator[Point]:
    """A point for each depth: processor time of an event, here and in the broker, and rates; the best of each."""
    at, held = place("amqp", broker), 0
    ours.declare(at)
    ours.send_many(at, 2 * total, size)  # everything is warm after this
    ours.receive(at, 2 * total)
    for depth in sorted(depths):
        begin = time.monotonic()
        _fill(at, depth - held, size)
        held = max(held, depth)
        took = time.monotonic() - begin
        rounds = [_round(at, broker.process_id, total, size) for _ in range(_ROUNDS)]
        least = {name: _best(name, [found[name] for found in rounds]) for name in rounds[0]}
        yield {"broker": broker.name, "depth": depth, "filled in s": took, **least}


def _best(name: str, values: list[float]) -> float:
    return max(values) if name.endswith("/s") else min(values)


def _round(at: Place, broker: int, total: int, size: int) -> dict[str, float]:
    server = tree(broker)
    before, at_server = time.process_time(), processor_seconds(server)
    sent = ours.send_many(at, total, size)
    found = {
        "sent/s": sent,
        "send CPU us/event": (time.process_time() - before) / total * 1e6,
        "broker CPU us/event sent": (processor_seconds(server) - at_server) / total * 1e6,
    }
    at_server = processor_seconds(server)
    found |= _receive(at, total)
    found["broker CPU us/event received"] = (processor_seconds(server) - at_server) / total * 1e6
    found["broker MB"] = sum(resident_mb(pid) for pid in server)
    return found


def _receive(at: Place, total: int) -> dict[str, float]:
    """From the first to the last of so many; more may come before the stop, and go back."""
    meter = Meter(total)
    taken: list[float] = []

    def on_event(_event: object) -> None:
        if not taken:
            taken.append(time.process_time())
        if meter.hit():
            taken.append(time.process_time())

    with ours.running(at, listen=True, on_event=on_event):
        rate = meter.rate()
    return {"received/s": rate, "receive CPU us/event": (taken[1] - taken[0]) / total * 1e6}


def _fill(at: Place, count: int, size: int) -> None:
    if count <= 0:
        return
    spawning = multiprocessing.get_context("spawn")
    shares = [count // SENDERS] * (SENDERS - 1) + [count - count // SENDERS * (SENDERS - 1)]
    senders = [spawning.Process(target=_send, args=(at, share, size), daemon=True) for share in shares]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
        if sender.exitcode:
            raise RuntimeError(f"a sender that filled the queue ended with {sender.exitcode}; its error is above")


def _send(at: Place, count: int, size: int) -> None:
    for begun in range(0, count, _CHUNK):
        ours.send_many(at, min(_CHUNK, count - begun), size)
