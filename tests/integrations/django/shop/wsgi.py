"""For gunicorn."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.integrations.django.shop.settings")
application = get_wsgi_application()

if "SHOP_SENDS_EARLY" in os.environ:  # in gunicorn's master process, before it forks
    from aspyx_event.integrations.django import send_event
    from tests.integrations.django.shop.orders.events import OrderPlaced

    send_event(OrderPlaced(int(os.environ["SHOP_SENDS_EARLY"])))
