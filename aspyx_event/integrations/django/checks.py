"""System checks of the setting ``ASPYX_EVENT`` and of what the apps declare."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings as project
from django.core import checks

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.integrations.django import state
from aspyx_event.integrations.settings import WHERE, Problem, Settings, read
from aspyx_event.integrations.settings_values import READERS

TAG = "aspyx_event"
NO_MAPPING, UNKNOWN_KEY, WRONG_VALUE, NO_BROKER, NOT_USABLE, NOT_FITTING = (f"{TAG}.E00{n}" for n in range(1, 7))
ONLY_LOCAL, SAME_NAME = (f"{TAG}.W00{n}" for n in range(1, 3))


def register() -> None:
    """Let ``manage.py check`` run them; those for deployment with ``--deploy``."""
    checks.register(check_events, TAG)
    checks.register(check_deployment, TAG, deploy=True)


def check_events(app_configs: Any, **_rest: Any) -> list[checks.CheckMessage]:  # noqa: ARG001 - all or nothing
    """E001 to E006, and W002. Connects to nothing."""
    settings, problems = read(state.raw_settings())
    if settings is None or problems:
        return [checks.Error(problem.message, id=_id_of(problem)) for problem in problems]
    try:
        settings.make_manager(settings.make_registry())
    except ConfigurationError as error:
        return [checks.Error(str(error), id=NOT_USABLE)]
    try:
        registry = state.make_registry(settings)
    except ConfigurationError as error:
        return [checks.Error(str(error), id=NOT_FITTING)]
    shared = [listener.name for listener in registry.listeners if listener.per_process]
    if shared and "{pid}" not in _server_name(settings):
        return [
            checks.Warning(
                f"all processes of one machine have the server name {_server_name(settings)!r}, and would share the "
                f"queue of {', '.join(shared)}, which is per_process",
                hint="Put {pid} into SERVER_NAME, or leave it out: by default it is '{host}-{pid}'.",
                id=SAME_NAME,
            )
        ]
    return []


def check_deployment(app_configs: Any, **_rest: Any) -> list[checks.CheckMessage]:  # noqa: ARG001
    """W001."""
    settings, problems = read(state.raw_settings())
    if settings is None or problems or project.DEBUG or not settings.is_local:
        return []
    return [
        checks.Warning(
            "local:// keeps events in the process that sends them: they are lost when it ends",
            hint=f"Set {WHERE}['URL'], or the environment variable {WHERE}_URL, to a broker.",
            id=ONLY_LOCAL,
        )
    ]


def _id_of(problem: Problem) -> str:
    if not problem.key:
        return NO_MAPPING
    if problem.key.lower() not in READERS:
        return UNKNOWN_KEY
    return NO_BROKER if problem.key == "URL" else WRONG_VALUE


def _server_name(settings: Settings) -> str:
    """As the settings, or the URL, give it; without one, that of the provider, which has the process in it."""
    if settings.server_name:
        return settings.server_name
    return parse_qs(urlsplit(settings.url).query).get("server_name", ["{host}-{pid}"])[0]
