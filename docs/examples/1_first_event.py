"""An event, a listener, and the embedded provider."""

import threading
from dataclasses import dataclass

from aspyx_event import EventListener, EventManager, EventRegistry, event, event_listener

handled = threading.Event()


@event()
@dataclass
class OrderPlaced:
    id: int
    customer: str


@event_listener(OrderPlaced)
class Billing(EventListener[OrderPlaced]):
    def on(self, event: OrderPlaced) -> None:
        print(f"billing order {event.id} of {event.customer}")
        handled.set()


with EventManager("local://", registry=EventRegistry().register(Billing)) as manager:
    manager.send_event(OrderPlaced(1, "Ada"))
    handled.wait(10)
