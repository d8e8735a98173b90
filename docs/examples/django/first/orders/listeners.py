# orders/listeners.py
from orders.events import OrderPlaced

from aspyx_event import EventListener, event_listener


@event_listener(OrderPlaced)
class Billing(EventListener[OrderPlaced]):
    def on(self, event: OrderPlaced) -> None:
        print(f"{event.customer} owes {event.euros:.2f} euros", flush=True)
