"""The app for INSTALLED_APPS."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core.signals import setting_changed
from django.utils.module_loading import autodiscover_modules

from aspyx_event.integrations.django import checks, state
from aspyx_event.integrations.settings import WHERE


class EventsConfig(AppConfig):
    """Imports ``events.py`` and ``listeners.py`` of all apps. It connects to nothing: the first send does."""

    name = "aspyx_event.integrations.django"
    label = "aspyx_event"
    verbose_name = "Events"

    def ready(self) -> None:
        """Called by Django once all models are loaded, in every process, that of the autoreloader included."""
        autodiscover_modules(*state.MODULES)
        checks.register()
        setting_changed.connect(_changed, dispatch_uid="aspyx_event")


def _changed(*, setting: str, **_rest: Any) -> None:
    """A test overrides settings: what is made from them is made anew."""
    if setting == WHERE:
        state.forget()
