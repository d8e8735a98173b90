"""What happens in the shop."""

from __future__ import annotations

from dataclasses import dataclass

from aspyx_event import event


@event(durable=True)
@dataclass
class OrderPlaced:
    """Somebody ordered something."""

    number: int


@event(durable=True)
@dataclass
class OrderBooked:
    """A listener booked it."""

    number: int
