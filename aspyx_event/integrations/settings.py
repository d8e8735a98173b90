"""The settings that all integrations share: one mapping, every key checked, made into a registry and a manager."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Union
from urllib.parse import urlsplit

from aspyx_event.codec import DEFAULT_MAX_MESSAGE_SIZE
from aspyx_event.exception_manager import ExceptionManager
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.integrations.settings_values import DEFAULT, READERS, SECRETS, Unfit, complete_url, nearest
from aspyx_event.manager import EventManager
from aspyx_event.provider import Provider
from aspyx_event.providers import provider_from_url
from aspyx_event.registry import EventRegistry
from aspyx_event.retry import RetryPolicy

WHERE = "ASPYX_EVENT"
_FROM_ENVIRONMENT = ("url", "user", "password")


@dataclass(frozen=True)
class Problem:
    """Something wrong with the settings. ``key`` is in capitals, and empty where no single key is to blame."""

    key: str
    message: str


@dataclass(frozen=True)
class Settings:
    """What ``ASPYX_EVENT`` says. Immutable; no repr shows a password. Keys may be written in capitals.

    url: the broker. user, password, server_name, prefix: what the URL does not say itself. The first three may be left
        to the environment variables ``ASPYX_EVENT_URL``, ``ASPYX_EVENT_USER`` and ``ASPYX_EVENT_PASSWORD``.
    workers, max_message_size, strict: as for EventManager.
    retry: a RetryPolicy, or a mapping of its numbers: immediate, immediate_wait, delayed, jitter.
    scan: packages or modules, by dotted name, whose events, listeners and pipelines belong to the application.
    register: further ones, one by one. factory: makes the instances of listener and pipeline classes.
    exception_handlers: objects with ``@catch()`` methods; a class is called without arguments.
    observers: functions that are called with each Outcome.
    listen: whether processes that send handle events as well; None, the default, means for ``local://`` alone, whose
        events never leave the process.
    send_timeout: seconds for a send, the first connection included. start_timeout, stop_timeout: seconds.

    register, factory, exception_handlers and observers also take dotted names such as ``"shop.events.Billing"``, which
    are imported when the registry or the manager is made.
    """

    url: str = field(repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    server_name: str = ""
    prefix: str = ""
    workers: Optional[int] = None
    max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE
    strict: bool = False
    retry: RetryPolicy = RetryPolicy()  # noqa: RUF009 - immutable
    scan: tuple[Any, ...] = ()
    register: tuple[Any, ...] = ()
    factory: Union[Callable[[type], Any], str, None] = None
    exception_handlers: tuple[Any, ...] = ()
    observers: tuple[Any, ...] = ()
    listen: Optional[bool] = None
    send_timeout: float = 10.0
    start_timeout: float = 30.0
    stop_timeout: float = 30.0

    @classmethod
    def from_mapping(cls, mapping: Any, *, where: str = WHERE) -> Settings:
        """The checked settings. Raises one ConfigurationError that names every problem; it repeats no password."""
        settings, problems = read(mapping, where=where)
        if settings is None or problems:
            raise ConfigurationError("; ".join(problem.message for problem in problems))
        return settings

    @property
    def full_url(self) -> str:
        """The URL with user, password, server name and prefix in it. Not to be shown. Raises ConfigurationError."""
        return complete_url(
            self.url,
            user=self.user,
            password=self.password,
            options={"server_name": self.server_name, "prefix": self.prefix},
        )

    @property
    def shown_url(self) -> str:
        """Scheme and hosts, or the path of a file: what may be shown of the URL."""
        try:
            parts = urlsplit(self.url)
        except ValueError:
            return "a malformed URL"
        if "@" in f"{parts.path}{parts.query}{parts.fragment}":  # a piece of a password that is not percent-encoded?
            return f"{parts.scheme}://..."
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2] or parts.path}"

    @property
    def is_local(self) -> bool:
        """Whether events stay in the process that sends them."""
        return self.url.partition(":")[0].lower() == "local"

    def check_not_local(self) -> None:
        """Raises ConfigurationError where no other process has anything to do with this one's events."""
        if self.is_local:
            raise ConfigurationError(
                "the events of local:// stay in the process that sends them, which listens by itself: for a command, "
                "ASPYX_EVENT['URL'] has to name a broker"
            )

    @property
    def listens(self) -> bool:
        """Whether processes that send listen as well."""
        return self.is_local if self.listen is None else self.listen

    def make_provider(self) -> Provider:
        """A provider for the URL. Raises ConfigurationError."""
        return provider_from_url(self.full_url)

    def make_registry(self) -> EventRegistry:
        """A new registry with all that is scanned and registered. Imports it; raises ConfigurationError."""
        factory = imported(self.factory, "FACTORY")
        if factory is not None and not callable(factory):
            raise ConfigurationError(f"{WHERE}['FACTORY']: {factory!r} cannot be called with a class")
        registry = EventRegistry() if factory is None else EventRegistry(factory=factory)
        for package in self.scan:
            registry.scan(package)
        return registry.register(*(imported(thing, "REGISTER") for thing in self.register))

    def make_manager(
        self,
        registry: EventRegistry,
        *,
        exception_manager: Optional[ExceptionManager] = None,
        provider: Optional[Provider] = None,
    ) -> EventManager:
        """A new manager that is not started. Raises ConfigurationError.

        exception_manager: gets the handlers; by default a new one. provider: instead of the URL's.
        """
        exceptions = exception_manager if exception_manager is not None else ExceptionManager()
        for thing in self.exception_handlers:
            handler = imported(thing, "EXCEPTION_HANDLERS")
            exceptions.collect_handlers(handler() if isinstance(handler, type) else handler)
        return EventManager(
            self.make_provider() if provider is None else provider,
            exceptions,
            registry=registry,
            retry=self.retry,
            workers=self.workers,
            max_message_size=self.max_message_size,
            strict=self.strict,
            observers=[imported(observer, "OBSERVERS") for observer in self.observers],
        )

    def __repr__(self) -> str:
        return f"<Settings {self.shown_url} prefix={self.prefix!r} scan={self.scan!r}>"


def read(mapping: Any, *, where: str = WHERE) -> tuple[Optional[Settings], list[Problem]]:
    """The settings, None where they cannot be made, and all that is wrong with them. Imports nothing of the user's.

    where: what the mapping is called, for the messages.
    """
    if not isinstance(mapping, Mapping):
        return None, [Problem("", f"{where} is a {type(mapping).__name__}: make it a dict, such as {DEFAULT}")]
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in mapping.items():
        name = str(key).lower()
        if name not in READERS:
            problems.append(Problem(str(key), f"{where} has no setting {key!r}; {nearest(name)}"))
        elif name in values:
            problems.append(Problem(name.upper(), f"{where} gives {name.upper()!r} twice, in capitals and without"))
        else:
            values[name] = None  # seen
            try:
                values[name] = READERS[name](value)
            except (Unfit, ConfigurationError) as error:
                shown = f"a {type(value).__name__}" if name in SECRETS else repr(value)
                problems.append(Problem(name.upper(), f"{where}[{key!r}] is {shown}: {error}"))
    for name in _FROM_ENVIRONMENT:
        values.setdefault(name, os.environ.get(f"{WHERE}_{name.upper()}", ""))
    if not values["url"] and not any(problem.key == "URL" for problem in problems):
        problems.append(
            Problem("URL", f"{where}['URL'] is missing: say which broker, as in {DEFAULT}, or set {WHERE}_URL")
        )
    if problems:
        return None, problems
    settings = Settings(**values)
    try:
        settings.make_provider()
    except ConfigurationError as error:
        return settings, [Problem("URL", f"{where}['URL']: {error}")]
    return settings, []


def imported(thing: Any, key: str) -> Any:
    """What a dotted name means; anything but a string is itself. Raises ConfigurationError, naming the setting."""
    if not isinstance(thing, str):
        return thing
    module, _, names = thing.partition(":") if ":" in thing else thing.rpartition(".")
    with contextlib.suppress(ValueError):  # of a name such as "shop" without a module
        try:
            found = importlib.import_module(module)
            for name in names.split("."):
                found = getattr(found, name)
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(f"{WHERE}[{key!r}]: {thing!r} cannot be imported: {error}") from error
        return found
    raise ConfigurationError(f"{WHERE}[{key!r}]: {thing!r} is no dotted name, such as 'shop.events.Billing'")
