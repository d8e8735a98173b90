"""Who handles what happens."""

import os

from aspyx_event import EventListener, current_envelope, event_listener
from orders.events import OrderPlaced
from orders.models import Bank, Order


class BankClosed(Exception):
    """The bank takes no money now."""


@event_listener(OrderPlaced)
class Billing(EventListener[OrderPlaced]):
    def on(self, event: OrderPlaced) -> None:
        order = Order.objects.filter(id=event.id)
        if not Bank.get().is_open:
            envelope = current_envelope()
            order.update(state=f"attempt {envelope.attempt if envelope else 1} failed", process=os.getpid())
            raise BankClosed(f"cannot bill {event.customer} {event.amount} euros")
        order.update(state="billed", process=os.getpid())
