"""A program that dies at a crash point: ``python -m tests.unit.testing.dying POINT NTH BEHAVIOUR...``.

The broker is a bus of its own. Each step that it gets to is a line of its output.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from aspyx_event import (
    Envelope,
    EventManager,
    EventRegistry,
    LocalProvider,
    RetryPolicy,
    current_envelope,
    event,
    event_listener,
)
from aspyx_event.events import EventDescriptor
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Confirmation, Delivery, OnDelivery, Subscription
from aspyx_event.testing.crash import CrashingProvider, CrashPoint
from aspyx_event.testing.proxy import TcpProxy

HOST = "127.0.0.1"


class Wire(LocalProvider):
    """A bus whose every step is also some bytes on a connection, so that a proxy sees them."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._sock = socket.create_connection((HOST, port))

    def write(self, step: str, data: str) -> None:
        say(f"{step} passed on")
        self._sock.sendall(data.encode())

    def send(self, envelope: Envelope, event: EventDescriptor) -> Confirmation[None]:
        self.write("send", envelope.id)
        return super().send(envelope, event)

    def subscribe(
        self, listener: EventListenerDescriptor, on_delivery: OnDelivery, *, credit: int, timeout: float
    ) -> Subscription:
        return super().subscribe(
            listener, lambda delivery: on_delivery(Wired(delivery, self)), credit=credit, timeout=timeout
        )


class Wired(Delivery):
    """A delivery of it."""

    def __init__(self, inner: Delivery, wire: Wire) -> None:
        self._inner, self._wire = inner, wire

    @property
    def alive(self) -> bool:
        return self._inner.alive

    def read(self) -> Envelope:
        return self._inner.read()

    def accept(self) -> None:
        self._wire.write("accept", "+")
        self._inner.accept()

    def release(self) -> None:
        self._wire.write("release", "-")
        self._inner.release()

    def forward(self, destination: str, headers: Mapping[str, str], *, delay: float = 0) -> Confirmation[None]:
        self._wire.write("error" if destination == self._wire.error_queue else "retry", self.read().id)
        return self._inner.forward(destination, headers, delay=delay)


holding = threading.Event()
"""A listener will not return any more."""


@event("Step", durable=True)
@dataclass
class Step:
    """Handled well, or raises, or never returns."""

    behaviour: str


@event_listener(Step, name="walker", concurrency=1)
def walk(step: Step) -> None:
    """Say what is handled."""
    envelope = current_envelope()
    assert envelope is not None
    say(f"handle {step.behaviour} {envelope.attempt}")
    if step.behaviour == "hold":
        holding.set()
        threading.Event().wait()
    if step.behaviour == "fail":
        raise ValueError


def say(line: str) -> None:
    """Write a line that survives the end."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(point: CrashPoint, nth: int, behaviours: list[str]) -> None:
    """Send events of these behaviours, one after the other."""
    with socket.create_server((HOST, 0)) as server, TcpProxy(HOST, server.getsockname()[1]) as proxy:
        provider = CrashingProvider(Wire(proxy.port), at=point, nth=nth, proxy=proxy)
        registry = EventRegistry().register(walk)
        retry = RetryPolicy(immediate=0, delayed=(0.05,), jitter=0)
        outcomes = threading.Semaphore(0)
        manager = EventManager(provider, registry=registry, retry=retry, observers=[lambda _: outcomes.release()])
        manager.start(listen=point is not CrashPoint.SEND_WRITTEN)
        for behaviour in behaviours:
            manager.send_event(Step(behaviour))
            if behaviour == "hold":
                holding.wait(20)
            else:
                for _ in range(2 if behaviour == "fail" else 1):
                    outcomes.acquire(timeout=20)
        say("stop")
        manager.stop(timeout=1)
    say("end")


if __name__ == "__main__":
    main(CrashPoint[sys.argv[1]], int(sys.argv[2]), sys.argv[3:])
