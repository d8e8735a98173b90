"""What happens in the shop, and what is done about it."""

from __future__ import annotations

from dataclasses import dataclass

from aspyx_event import EventListener, RetryPolicy, event, event_listener

from . import database, events


@event(durable=True)
@dataclass
class OrderPlaced:
    id: int
    customer: str
    euros: float


@event(durable=True)
@dataclass
class OrderPaid:
    id: int
    customer: str


class BankIsClosedError(Exception):
    """No money today."""


@event_listener(OrderPlaced, retry=RetryPolicy(immediate=1, immediate_wait=(0.2,), delayed=(1,)))
class Billing(EventListener[OrderPlaced]):
    """Collects the money. Four attempts, then the event waits in the error queue."""

    def on(self, event: OrderPlaced) -> None:
        if not database.bank_is_open():
            raise BankIsClosedError(f"{event.euros:.2f} euros of {event.customer} have to wait")
        database.set_status(event.id, "paid")
        events.send_event(OrderPaid(event.id, event.customer))


@event_listener(OrderPaid)
async def send_receipt(event: OrderPaid) -> None:
    """A listener may be a coroutine, and a plain function."""
    database.set_status(event.id, f"paid, receipt sent to {event.customer}")
