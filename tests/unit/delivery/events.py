"""Events and listeners for the tests of the delivery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from aspyx_event import event, event_listener


@event(durable=True)
@dataclass
class Placed:
    number: int = 0


@event(durable=True)
@dataclass
class Shipped:
    number: int = 0


def listening(outcome: Callable[[Any], Any], name: str = "listener", event_type: type = Placed, **options: Any) -> Any:
    """A listener of that name that calls ``outcome`` with the event."""

    @event_listener(event_type, name, **options)
    def listen(event: Any) -> Any:
        return outcome(event)

    return listen
