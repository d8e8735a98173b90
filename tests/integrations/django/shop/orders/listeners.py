"""Who handles what happens."""

from __future__ import annotations

import os
import threading

from aspyx_event import EventListener, event_listener
from aspyx_event.integrations.django import send_event
from tests.integrations.django.shop.orders.events import OrderBooked, OrderPlaced
from tests.integrations.django.shop.orders.models import Booking


@event_listener(OrderPlaced)
class Bookkeeping(EventListener[OrderPlaced]):
    """Writes a booking by the ORM, and says so by another event. Negative numbers fail."""

    def on(self, event: OrderPlaced) -> None:
        """See the class."""
        if event.number < 0:
            raise ValueError(f"order {event.number} makes no sense")
        Booking.objects.create(
            number=event.number, listener="Bookkeeping", pid=os.getpid(), thread=threading.current_thread().name
        )
        send_event(OrderBooked(event.number))


@event_listener(OrderPlaced)
class AsyncBookkeeping(EventListener[OrderPlaced]):
    """The same by the ORM's async methods."""

    async def on(self, event: OrderPlaced) -> None:
        """See the class."""
        if event.number >= 0:
            await Booking.objects.acreate(
                number=event.number, listener="AsyncBookkeeping", pid=os.getpid(), thread="of the ORM"
            )
