# at the end of shop/settings.py
import os

INSTALLED_APPS += ["aspyx_event.integrations.django", "orders"]
ASPYX_EVENT = {"URL": os.environ.get("ASPYX_EVENT_URL", "local://")}
