"""The manager of this process, made from the project's settings and the modules of its apps."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings as project
from django.utils.module_loading import module_has_submodule

from aspyx_event.codec import JsonCodec
from aspyx_event.integrations.django.database import DatabaseConnections, close_after, close_kept
from aspyx_event.integrations.lazy import LazyManager
from aspyx_event.integrations.settings import WHERE, Settings
from aspyx_event.manager import EventManager
from aspyx_event.registry import EventRegistry

MODULES = ("events", "listeners")
"""What is looked for in each installed app."""


@dataclass(frozen=True)
class State:
    """What is made from the settings once."""

    settings: Settings
    lazy: LazyManager
    codec: JsonCodec


_made: dict[str, State] = {}


def current() -> State:
    """The state for the settings of now. Raises ConfigurationError when they are wrong."""
    found = _made.get(WHERE)
    if found is not None:
        return found
    settings = Settings.from_mapping(raw_settings())
    state = State(
        settings,
        LazyManager(
            functools.partial(make_manager, settings),
            listen=settings.listens,
            start_timeout=settings.start_timeout,
            send_timeout=settings.send_timeout,
        ),
        JsonCodec(max_message_size=settings.max_message_size),
    )
    return _made.setdefault(WHERE, state)  # one step, also where several threads come here at once


def forget() -> None:
    """Stop the manager, if it runs; what comes next is made from the settings that there are then."""
    state = _made.pop(WHERE, None)
    if state is not None:
        state.lazy.stop(state.settings.stop_timeout)
        close_kept()


def raw_settings() -> Any:
    """The setting as the project has it; without one, the environment may say which broker."""
    return getattr(project, WHERE, {})


def make_registry(settings: Settings) -> EventRegistry:
    """Events, listeners and pipelines of all apps, and what the settings add. Raises ConfigurationError."""
    registry = settings.make_registry().register(DatabaseConnections)
    for app in apps.get_app_configs():
        for module in MODULES:
            if module_has_submodule(app.module, module):
                registry.scan(f"{app.name}.{module}")
    return registry


def make_manager(settings: Settings) -> EventManager:
    """A manager that is not started. Raises ConfigurationError."""
    complete = dataclasses.replace(settings, observers=(*settings.observers, close_after))
    return complete.make_manager(make_registry(settings))


def get_manager(*, start: bool = False) -> EventManager:
    """This process's manager: for ``health()``, ``describe()``, ``dead_letters()``, ``replay()``. Thread-safe.

    start: True starts it, as the first send does, if it was not: needed for what asks the broker. It takes at most the
    setting ``START_TIMEOUT``, 30 s, and raises what ``EventManager.start`` raises.

    After a fork the child gets one of its own. Raises ConfigurationError when ``ASPYX_EVENT`` is wrong, or when
    events and listeners do not fit each other.
    """
    lazy = current().lazy
    return lazy.start() if start else lazy.get()


@contextlib.contextmanager
def override_manager(manager: EventManager) -> Iterator[EventManager]:
    """For tests: within the block, the functions of this package send by ``manager``, which the test starts and stops.

    It is for the whole process, not for this thread alone. Raises LifecycleError for a block within a block.
    """
    with current().lazy.replaced_by(manager):
        yield manager
