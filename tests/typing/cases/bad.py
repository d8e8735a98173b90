"""Each line marked with ``# error`` is one under mypy --strict and pyright, and no other line is."""

from __future__ import annotations

from dataclasses import dataclass

from aspyx_event import Envelope, EventListener, EventManager, LocalProvider, event, event_listener


@event()
@dataclass
class OrderPlaced:
    id: int


@event()
@dataclass
class OrderShipped:
    id: int


@event_listener(OrderPlaced)
class Wrong(EventListener[OrderPlaced]):
    def on(self, event: OrderShipped) -> None: ...  # error


@event_listener(OrderPlaced)
class WrongAsync(EventListener[OrderPlaced]):
    async def on(self, event: OrderShipped) -> None: ...  # error


def main(envelope: Envelope) -> None:
    manager = EventManager(LocalProvider())
    manager.send_event(OrderPlaced("x"))  # error
    manager.send_event(OrderPlaced(1), delay="x")  # error
    manager.send_event(OrderPlaced(1), headers={"count": 1})  # error
    envelope.set("key", None)  # error
    number: int = manager.stop()  # error
    assert number
