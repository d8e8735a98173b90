"""Who handles what happens."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from aspyx_event import EventListener, event_listener
from aspyx_event.integrations.django import send_event
from tests.integrations.django.shop.orders.events import OrderBooked, OrderPlaced
from tests.integrations.django.shop.orders.models import Booking

logger = logging.getLogger(__name__)
HELD = 777


def hold() -> None:
    """Take as long as the test wants: until there is a file that says so."""
    logger.warning("holding order %d", HELD)
    pause = threading.Event()
    while not (Path(os.environ["SHOP_DIRECTORY"]) / "go-on").exists():
        pause.wait(0.05)


@event_listener(OrderPlaced)
class Bookkeeping(EventListener[OrderPlaced]):
    """Writes a booking by the ORM, and says so by another event. Negative numbers fail."""

    def on(self, event: OrderPlaced) -> None:
        """See the class."""
        if event.number < 0:
            raise ValueError(f"order {event.number} makes no sense")
        if event.number == HELD:
            hold()
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
