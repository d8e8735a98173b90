"""An order is placed by POST."""

from __future__ import annotations

import os

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from aspyx_event.integrations.django import send_event_async, send_on_commit
from tests.integrations.django.shop.orders.events import OrderPlaced
from tests.integrations.django.shop.orders.models import Order


def place(request: HttpRequest, number: int) -> HttpResponse:
    """Store the order; its event goes out with the commit. ``?fail`` rolls back."""
    with transaction.atomic():
        Order.objects.create(number=number)
        send_on_commit(OrderPlaced(number), robust=False)
        if "fail" in request.GET:
            transaction.set_rollback(True)
    return HttpResponse(f"{os.getpid()}\n")


async def place_async(request: HttpRequest, number: int) -> HttpResponse:
    """Send an event from an async view."""
    await send_event_async(OrderPlaced(number))
    return HttpResponse(f"{os.getpid()}\n")
