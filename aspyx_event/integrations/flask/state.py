"""What one Flask application has of its own: settings, registry, manager."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from flask import Flask, current_app, has_app_context

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.integrations.flask.context import AppContextExceptions, AppContextPipeline
from aspyx_event.integrations.lazy import LazyManager
from aspyx_event.integrations.settings import WHERE, Settings
from aspyx_event.manager import EventManager
from aspyx_event.registry import EventRegistry

KEY = "aspyx_event"
"""In ``app.extensions``."""
_PREFIX = f"{WHERE}_"


class AppEvents:
    """The events of one application, at ``app.extensions["aspyx_event"]``. Thread-safe.

    Its settings are checked when it is made; the registry is filled, and what it scans imported, when it is first
    asked for; the manager starts with the first send, in each process its own.
    """

    def __init__(self, app: Flask, *, scan: Sequence[Any] = (), register: Sequence[Any] = ()) -> None:
        self._app = app
        self._scan = tuple(scan)
        self._register = tuple(register)
        self._lock = threading.RLock()
        self._registry: Optional[EventRegistry] = None
        self.settings = Settings.from_mapping(settings_of(app.config))
        self.lazy = LazyManager(
            self._make,
            listen=self.settings.listens,
            start_timeout=self.settings.start_timeout,
            send_timeout=self.settings.send_timeout,
        )

    @property
    def registry(self) -> EventRegistry:
        """The application's registry. Raises ConfigurationError for what cannot be imported or registered."""
        with self._lock:
            if self._registry is None:
                registry = self.settings.make_registry()
                for package in self._scan:
                    registry.scan(package)
                self._registry = registry.register(*self._register, AppContextPipeline(self._app))
            return self._registry

    @property
    def manager(self) -> EventManager:
        """This process's manager, running or not. Raises ConfigurationError."""
        return self.lazy.get()

    def _make(self) -> EventManager:
        return self.settings.make_manager(self.registry, exception_manager=AppContextExceptions(self._app))

    def __repr__(self) -> str:
        return f"<AppEvents of {self._app.name!r} {self.settings!r}>"


def settings_of(config: Mapping[str, Any]) -> Any:
    """The mapping ``ASPYX_EVENT`` together with the keys ``ASPYX_EVENT_...`` of a Flask configuration.

    Raises ConfigurationError for a setting in both.
    """
    mapping = config.get(WHERE, {})
    single = {key[len(_PREFIX) :]: value for key, value in config.items() if key.startswith(_PREFIX)}
    if not isinstance(mapping, Mapping) or not single:
        return mapping
    known = {str(key).upper() for key in mapping}
    for key in single:
        if key.upper() in known:
            raise ConfigurationError(
                f"the configuration has {_PREFIX}{key} and {WHERE}[{key!r}]: leave one of them out"
            )
    return {**mapping, **single}


def events_of(app: Flask) -> AppEvents:
    """The events of an application. Raises ConfigurationError when ``init_app`` was never called for it."""
    found = app.extensions.get(KEY)
    if not isinstance(found, AppEvents):
        raise ConfigurationError(f"the Flask application {app.name!r} has no events yet: call AspyxEvent.init_app(app)")
    return found


def current_events() -> AppEvents:
    """The events of the current application. Raises ConfigurationError outside of an application context."""
    if not has_app_context():
        raise ConfigurationError(
            "which application? Events are sent in a request, in a listener, or within 'with app.app_context():'"
        )
    return events_of(current_app._get_current_object())  # type: ignore[attr-defined]
