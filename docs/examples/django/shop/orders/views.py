"""The page."""

import os

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from aspyx_event import ConfigurationError
from aspyx_event.integrations.django import get_manager, send_on_commit
from orders.events import OrderPlaced
from orders.models import Bank, Order


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    manager = get_manager(start=True)
    context = {
        "bank": Bank.get(),
        "orders": Order.objects.order_by("-id")[:8],
        "failed": list(manager.dead_letters()),
        "provider": type(manager.provider).__name__,
        "process": os.getpid(),
    }
    return render(request, "orders/index.html", context)


@require_POST
def place(request: HttpRequest) -> HttpResponse:
    customer, amount = request.POST.get("customer", "").strip(), request.POST.get("amount", "")
    if not (0 < len(customer) <= 40 and amount.isdecimal() and len(amount) < 7):
        return HttpResponseBadRequest("a customer, and a number of euros")
    with transaction.atomic():
        order = Order.objects.create(customer=customer, amount=int(amount))
        send_on_commit(OrderPlaced(order.id, order.customer, order.amount))
    return redirect("index")


@require_POST
def bank(request: HttpRequest) -> HttpResponse:
    Bank.get()
    Bank.objects.update(is_open="open" in request.POST)
    return redirect("index")


@require_POST
def replay(request: HttpRequest) -> HttpResponse:
    try:
        get_manager(start=True).replay(request.POST.get("id", ""))
    except ConfigurationError as error:  # somebody else was quicker
        return HttpResponseBadRequest(str(error))
    return redirect("index")
