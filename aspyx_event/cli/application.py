"""From ``MODULE`` or ``MODULE:attribute`` to events, listeners and a manager."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Union

from aspyx_event.cli.config import Settings
from aspyx_event.events import event_declaration
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.manager import START_TIMEOUT, EventManager
from aspyx_event.registry import EventRegistry


def registry_of(app: str) -> EventRegistry:
    """The events and listeners of an application: all that a package defines, or its own registry. Raises
    ConfigurationError, also where there are none."""
    found = _found(app)
    return _checked(found.registry if isinstance(found, EventManager) else found, app)


def manager_of(settings: Settings, *, url: str = "") -> EventManager:
    """The manager of an application, or a new one for its registry; not started.

    An application's own manager has its own broker: a URL is an error then. Without an application, the registry is
    empty. ``url``: where nobody names a broker. Raises ConfigurationError.
    """
    if not settings.app:
        return EventManager(settings.full_url, registry=EventRegistry(), workers=settings.workers)
    found = _found(settings.app)
    if isinstance(found, EventRegistry):
        settings = replace(settings, url=settings.url or url)
        return EventManager(settings.full_url, registry=_checked(found, settings.app), workers=settings.workers)
    for name in ("url", "prefix", "server_name", "workers"):
        if getattr(settings, name):
            raise ConfigurationError(
                f"{settings.app} is an EventManager, which has its own {name}: leave {name} out, or name its registry"
            )
    return found


def _checked(registry: EventRegistry, app: str) -> EventRegistry:
    if not registry.events and not registry.listeners:
        raise ConfigurationError(f"{app}: no event and no listener is defined there")
    return registry


@contextlib.contextmanager
def sending(manager: EventManager, timeout: float = START_TIMEOUT) -> Iterator[EventManager]:
    """A manager that is started without listening, and stopped afterwards."""
    manager.start(timeout, listen=False)
    try:
        yield manager
    finally:
        manager.stop(timeout)


def event_of(name: str) -> type:
    """The event class ``MODULE:Event``; ``Event`` is the class's name, or the event's. Raises ConfigurationError."""
    module, _, wanted = name.partition(":")
    if not module or not wanted:
        raise ConfigurationError(f"{name!r} is no event: write MODULE:Event")
    found: Any = getattr(_imported(module), wanted, None)
    if isinstance(found, type) and event_declaration(found) is not None:
        return found
    events = EventRegistry().scan(_imported(module)).events
    for event in events:
        if event.name == wanted:
            return event.type
    there = ", ".join(sorted(event.name for event in events)) or "none"
    raise ConfigurationError(f"{module} has no event {wanted!r}; there are: {there}")


def _found(app: str) -> Union[EventManager, EventRegistry]:
    """An EventManager or an EventRegistry. Raises ConfigurationError."""
    module, colon, attribute = app.partition(":")
    _imported(module)
    if not colon:
        return EventRegistry().scan(module)
    found: Any = _imported(module)
    try:
        for name in attribute.split("."):
            found = getattr(found, name)
    except AttributeError:
        raise ConfigurationError(f"{app}: {module} has no {attribute!r}") from None
    if callable(found) and not isinstance(found, (EventManager, EventRegistry)):
        try:
            found = found()
        except Exception as error:
            raise ConfigurationError(f"{app} failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, (EventManager, EventRegistry)):
        raise ConfigurationError(
            f"{app} is {type(found).__name__}: name an EventManager, an EventRegistry, or a function that makes one"
        )
    return found


def _imported(module: str) -> Any:
    """Import it; the current directory is searched first, as by ``python -m``."""
    here = os.getcwd()
    if not {"", here} & set(sys.path[:1]):
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a script without a __main__ guard may want to end the process
        raise ConfigurationError(f"{module} cannot be imported: {type(error).__name__}: {error}") from error
