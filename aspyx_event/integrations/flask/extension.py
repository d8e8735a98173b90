"""The Flask extension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Optional

from flask import Flask

from aspyx_event.delivery.dispatcher import StopResult
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.integrations.flask.commands import events_group
from aspyx_event.integrations.flask.error_commands import errors_group
from aspyx_event.integrations.flask.state import KEY, AppEvents, current_events
from aspyx_event.manager import EventManager
from aspyx_event.registry import EventRegistry

events_group.add_command(errors_group)


class AspyxEvent:
    """Events in a Flask application: ``events = AspyxEvent()``, and ``events.init_app(app)`` in the factory.

    Sends in requests, in listeners and wherever else there is an application context, through the manager of the
    current application: each application that is initialised has a registry and a manager of its own. The process
    connects with its first send, after a fork of its own again, and does not listen, unless the setting LISTEN says
    so; ``flask events listen`` does. Thread-safe.

    app: initialise this one at once. scan: modules or packages, or their dotted names. register: decorated classes,
    functions and instances. Both add to what the settings name, for all applications.
    """

    def __init__(self, app: Optional[Flask] = None, *, scan: Iterable[Any] = (), register: Iterable[Any] = ()) -> None:
        self._scan = (scan,) if isinstance(scan, str) else tuple(scan)
        self._register = tuple(register)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the settings, ``app.config["ASPYX_EVENT"]``, and add the commands ``flask events``. Connects to nothing.

        Raises ConfigurationError for settings that are wrong, and for an application that was initialised before.
        """
        if KEY in app.extensions:
            raise ConfigurationError(
                f"init_app was called before for the Flask application {app.name!r}: once is enough"
            )
        app.extensions[KEY] = AppEvents(app, scan=self._scan, register=self._register)
        app.cli.add_command(events_group)

    # -- of the current application

    @property
    def registry(self) -> EventRegistry:
        """The registry of the current application; filled when it is first asked for. Raises ConfigurationError."""
        return current_events().registry

    @property
    def manager(self) -> EventManager:
        """The manager of the current application in this process, running or not. Raises ConfigurationError."""
        return current_events().manager

    def start(self, timeout: Optional[float] = None, *, listen: Optional[bool] = None) -> EventManager:
        """Start the manager before the first send does, within ``timeout`` seconds (by default START_TIMEOUT).

        listen: instead of the setting LISTEN. A running manager stays as it is. Call it in the process that serves,
        after the fork. Raises what ``EventManager.start`` raises.
        """
        return current_events().lazy.start(timeout, listen=listen)

    def stop(self, timeout: Optional[float] = None) -> StopResult:
        """Stop the manager, within ``timeout`` seconds (by default STOP_TIMEOUT); the end of the process does so."""
        events = current_events()
        return events.lazy.stop(events.settings.stop_timeout if timeout is None else timeout)

    def replaced_by(self, manager: EventManager) -> AbstractContextManager[EventManager]:
        """For tests: within ``with events.replaced_by(manager):`` the application sends through this manager.

        The application is the current one at the call; the block itself needs no context. The test starts and stops
        the manager.
        """
        return current_events().lazy.replaced_by(manager)

    def send_event(
        self,
        event: Any,
        *,
        headers: Optional[Mapping[str, str]] = None,
        key: Optional[str] = None,
        delay: Optional[float] = None,
        ttl: Optional[float] = None,
        id: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> None:
        """As ``EventManager.send_event``. The first send of a process connects first, within the same timeout.

        timeout: seconds, by default SEND_TIMEOUT. Raises ConfigurationError outside of an application context.
        """
        current_events().lazy.send_event(event, headers=headers, key=key, delay=delay, ttl=ttl, id=id, timeout=timeout)

    async def send_event_async(
        self,
        event: Any,
        *,
        headers: Optional[Mapping[str, str]] = None,
        key: Optional[str] = None,
        delay: Optional[float] = None,
        ttl: Optional[float] = None,
        id: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> None:
        """As ``EventManager.send_event_async``, for async views and listeners; otherwise as ``send_event``."""
        await current_events().lazy.send_event_async(
            event, headers=headers, key=key, delay=delay, ttl=ttl, id=id, timeout=timeout
        )

    def send_events(
        self,
        events: Iterable[Any],
        *,
        headers: Optional[Mapping[str, str]] = None,
        key: Optional[str] = None,
        delay: Optional[float] = None,
        ttl: Optional[float] = None,
        timeout: Optional[float] = None,
    ) -> None:
        """As ``EventManager.send_events``; otherwise as ``send_event``."""
        current_events().lazy.send_events(events, headers=headers, key=key, delay=delay, ttl=ttl, timeout=timeout)
