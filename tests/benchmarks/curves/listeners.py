"""Does an event cost more where there are 500 event types, or 500 listeners?

Three shapes, all with the same number of events handled in all: to N types, each with a listener, in turns; to one of N
such types; and to one type that N listeners want. One process sends and handles, after everything is attached.
"""

from __future__ import annotations

import gc
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from aspyx_event import EventManager, EventRegistry, LocalProvider, Provider, event, event_listener
from tests.benchmarks.curves.record import Point
from tests.benchmarks.samples import PATIENCE, body_of_size, place

_START = 300.0
"""Seconds: 500 durable queues are made once."""
_ROUNDS = 5
SHAPES = ("to each of N types", "to one of N types", "to N listeners of one type")


class Count:
    """How many were handled; ``hit`` may be called by several threads."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._wanted = 0
        self._done = threading.Event()

    def hit(self, _event: object) -> None:
        """One more."""
        if next(self._numbers) == self._wanted:
            self._done.set()

    def expect(self, count: int) -> None:
        """Begin to count from one on, while none is on its way."""
        self._numbers, self._wanted = itertools.count(1), count
        self._done.clear()

    def wait(self) -> None:
        """Until all have come. Raises TimeoutError."""
        if not self._done.wait(PATIENCE):
            raise TimeoutError(f"{self._wanted} events were expected and have not come")


def _type(name: str) -> Any:
    @event(name=name, durable=True)
    @dataclass
    class Numbered:
        n: int
        t: str

    return Numbered


def _listener(kind: Any, name: str, hit: Callable[[object], None]) -> Any:
    def listen(event: Any) -> None:
        hit(event)

    listen.__annotations__["event"] = kind
    return event_listener(kind, name=name)(listen)


def local_points(counts: Sequence[int], *, total: int, size: int) -> Iterator[Point]:
    """In process, without a broker."""
    for shape in SHAPES:
        for count in counts:
            yield _point(LocalProvider(), "none", shape, count, total, size)


def points(broker: Any, counts: Sequence[int], *, total: int, size: int) -> Iterator[Point]:
    """On a broker, over AMQP."""
    for shape in SHAPES:
        for count in counts:
            yield _point(place("amqp", broker).url, broker.name, shape, count, total, size)


def _point(provider: Provider | str, broker: str, shape: str, count: int, total: int, size: int) -> Point:
    counted, registry = Count(), EventRegistry()
    fan_out = shape == SHAPES[2]
    names = [f"bench.{SHAPES.index(shape)}.{count}.{number}" for number in range(count)]
    kinds = [_type(names[0])] * count if fan_out else [_type(name) for name in names]
    for kind, name in zip(kinds, names):
        registry.register(_listener(kind, f"listener.{name}", counted.hit))
    targets = [kinds[0]] if shape != SHAPES[0] else kinds
    text = body_of_size(size).decode()[len('{"n":1,"t":"') : -len('"}')]
    copies = count if fan_out else 1
    events = [kind(1, text) for kind, _ in zip(itertools.cycle(targets), range(total // copies))]
    manager = EventManager(provider, registry=registry)
    begin = time.monotonic()
    manager.start(timeout=_START)
    try:
        started = time.monotonic() - begin
        took = min(_round(manager, counted, events, copies) for _ in range(1 + _ROUNDS))  # the first warms up
    finally:
        manager.stop()
    gc.collect()
    return {"broker": broker, "shape": shape, "N": count, "CPU us/event": took, "start s": started}


def _round(manager: EventManager, counted: Count, events: Sequence[Any], copies: int) -> float:
    counted.expect(len(events) * copies)
    begin = time.process_time()
    manager.send_events(events)
    counted.wait()
    return (time.process_time() - begin) / (len(events) * copies) * 1e6
