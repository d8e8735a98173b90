# orders/views.py
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from orders.events import OrderPlaced

from aspyx_event.integrations.django import send_on_commit


@csrf_exempt  # for curl
@require_POST
def place(request: HttpRequest, customer: str) -> HttpResponse:
    with transaction.atomic():
        # store the order here
        send_on_commit(OrderPlaced(customer, 9.5))
    return HttpResponse(f"Thank you, {customer}.\n")
