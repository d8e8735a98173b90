"""Events in a Django project: ``aspyx_event.integrations.django`` in INSTALLED_APPS, and one setting, ``ASPYX_EVENT``.

``events.py`` and ``listeners.py`` of the installed apps are found by themselves. Web processes send, and connect with
their first send; ``manage.py events listen`` handles.
"""

from __future__ import annotations

from aspyx_event.integrations.django.sending import send_event, send_event_async, send_events, send_on_commit
from aspyx_event.integrations.django.state import get_manager, override_manager

__all__ = [
    "get_manager",
    "override_manager",
    "send_event",
    "send_event_async",
    "send_events",
    "send_on_commit",
]
