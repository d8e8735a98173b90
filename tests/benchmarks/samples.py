"""The event that is sent and received, its listener, and where both are on each broker."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aspyx_event import EventListener, EventRegistry, event, event_listener

PATIENCE = 60.0
"""Seconds for one measurement. One that takes longer has lost something, and fails."""
_FRAME = len('{"n":1,"t":""}')


@event(name="bench", durable=True)
@dataclass
class Sample:
    """Its body has exactly the wanted number of bytes while ``n`` has one digit."""

    n: int
    t: str

    @classmethod
    def of_size(cls, size: int) -> Sample:
        """An event whose body has so many bytes."""
        return cls(1, "x" * (size - _FRAME))


def body_of_size(size: int) -> bytes:
    """What a raw client sends: the same bytes."""
    return b'{"n":1,"t":"' + b"x" * (size - _FRAME) + b'"}'


class Meter:
    """Times the way from the first to the last of ``total`` messages. ``hit`` may be called by several threads."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._numbers = itertools.count(1)
        self._first = self._last = 0.0
        self._done = threading.Event()

    def hit(self) -> bool:
        """One more; whether it was the last."""
        number = next(self._numbers)
        if number == 1:
            self._first = time.perf_counter()
        if number != self._total:
            return False
        self._last = time.perf_counter()
        self._done.set()
        return True

    def rate(self) -> float:
        """Messages a second, once all have come. Raises TimeoutError."""
        if not self._done.wait(PATIENCE):
            raise TimeoutError(f"{self._total} messages were expected and have not come")
        return (self._total - 1) / (self._last - self._first)


class Nothing:
    """What the listener does when nothing is measured."""

    def __call__(self, event: Sample) -> None:
        """Ignore it."""


@event_listener(Sample)
class Counting(EventListener[Sample]):
    """Calls ``meaning``; a measurement sets it while no manager runs."""

    meaning: Any = Nothing()

    def on(self, event: Sample) -> None:
        """Count it."""
        type(self).meaning(event)


def registry() -> EventRegistry:
    """A new registry with the one listener."""
    return EventRegistry().register(Counting)


@dataclass(frozen=True)
class Place:
    """Where a raw client sends events to, and where it reads the listener's queue. Capabilities are AMQP's."""

    url: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    target: str
    source: str
    vhost: str | None = None
    capabilities: tuple[str, ...] = ()
    send_headers: Mapping[str, str] = field(default_factory=dict)
    subscribe_headers: Mapping[str, str] = field(default_factory=dict)


_WINDOW = 500
_AMQP = {
    "artemis": ("bench", "bench::Counting", ("topic",)),
    "rabbitmq": ("/exchanges/bench/bench", "/queues/bench%3A%3ACounting", ()),
}
_STOMP: dict[str, tuple[str, str, dict[str, str], dict[str, str]]] = {
    "artemis": (
        "bench",
        "bench::Counting",
        {"destination-type": "MULTICAST"},
        {"subscription-type": "MULTICAST", "consumer-window-size": str(1024 * 1024)},
    ),
    "rabbitmq": ("/exchange/amq.topic/bench", "/amq/queue/bench::Counting", {}, {"prefetch-count": str(_WINDOW)}),
}


def place(protocol: str, broker: Any) -> Place:
    """The places of the event on a running broker."""
    port = broker.amqp_port if protocol == "amqp" else broker.stomp_port
    common: dict[str, Any] = {
        "url": f"{protocol}://{broker.user}:{broker.password}@{broker.host}:{port}/",
        "host": broker.host,
        "port": port,
        "user": broker.user,
        "password": broker.password,
    }
    if protocol == "amqp":
        target, source, capabilities = _AMQP[broker.name]
        return Place(**common, target=target, source=source, capabilities=capabilities)
    target, source, sending, subscribing = _STOMP[broker.name]
    vhost = "/" if broker.name == "rabbitmq" else None
    headers: dict[str, Any] = {"send_headers": sending, "subscribe_headers": subscribing}
    return Place(**common, target=target, source=source, vhost=vhost, **headers)
