"""What an event is: a dataclass or a pydantic model with a name."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Callable, Optional, TypeVar

from pydantic import BaseModel

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.retry import RetryPolicy

E = TypeVar("E")

_DECLARATION = "__aspyx_event__"
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def check_name(name: str, what: str) -> str:
    """The name itself if it can stand in an address on every broker; else ConfigurationError.

    ``::`` separates address and queue in Artemis' fully qualified queue names, ``/`` in RabbitMQ's addresses.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(f"{what} {name!r} is not a name: use letters, digits, '_', '.' and '-'")
    return name


def check_policy(retry: Any, where: str) -> None:
    """ConfigurationError for a retry policy that is none."""
    if retry is not None and not isinstance(retry, RetryPolicy):
        raise ConfigurationError(f"{where}(retry={retry!r}): give a RetryPolicy")


def place(thing: Any) -> str:
    """Where a class or function was written, for error messages: ``module.QualifiedName``."""
    return f"{getattr(thing, '__module__', '?')}.{getattr(thing, '__qualname__', repr(thing))}"


@dataclass(frozen=True)
class EventDeclaration:
    """What ``@event`` said. It lives on the class, and only on the class that was decorated."""

    name: str
    durable: bool
    retry: Optional[RetryPolicy]


@dataclass(frozen=True)
class EventDescriptor:
    """An event as a registry knows it. Immutable; equality is that of name and class."""

    name: str
    """The address events of this kind are sent to."""
    type: type
    durable: bool = False
    retry: Optional[RetryPolicy] = dataclasses.field(default=None, compare=False)

    def __str__(self) -> str:
        return self.name


def event(name: str = "", durable: bool = False, *, retry: RetryPolicy | None = None) -> Callable[[type[E]], type[E]]:
    """Declare a dataclass or a pydantic model as an event.

    name: the address on the broker, by default the class name: letters, digits, ``_``, ``.``, ``-``.
    durable: events are persistent and wait for their listeners while these, or the broker, are down.
    retry: the policy for all listeners of this event that have none of their own.

    It works above and below ``@dataclass``, and records the declaration on this one class: no registry is touched,
    and a subclass is not an event until it is decorated itself.

    Raises ConfigurationError for an impossible name, for ``durable`` that is no bool, and for things that are no class.
    """
    if isinstance(name, type):
        raise ConfigurationError(f"write @event() with parentheses on {place(name)}")
    if name:
        check_name(name, "event name")
    if not isinstance(durable, bool):
        raise ConfigurationError(f"event(durable={durable!r}): True or False")
    check_policy(retry, "event")

    def declare(cls: type[E]) -> type[E]:
        if not isinstance(cls, type):
            raise ConfigurationError(f"@event stands on {cls!r}, which is no class: it belongs on a dataclass or model")
        declaration = EventDeclaration(check_name(name or cls.__name__, "event name"), durable, retry)
        setattr(cls, _DECLARATION, declaration)
        return cls

    return declare


def event_declaration(cls: Any) -> EventDeclaration | None:
    """The declaration of a class, None when it has none of its own."""
    return vars(cls).get(_DECLARATION) if isinstance(cls, type) else None


def describe_event(cls: type) -> EventDescriptor:
    """The descriptor of a decorated class; ConfigurationError says what is missing."""
    declaration = event_declaration(cls)
    if declaration is None:
        inherited = next((base for base in cls.__mro__[1:] if event_declaration(base)), None)
        hint = f"; its base {place(inherited)} is one, but the decorator is not inherited" if inherited else ""
        raise ConfigurationError(f"{place(cls)} is not an event{hint}: decorate it with @event()")
    if not (dataclasses.is_dataclass(cls) or issubclass(cls, BaseModel)):
        raise ConfigurationError(
            f"event {declaration.name!r} ({place(cls)}) is neither a dataclass nor a pydantic model: "
            "add @dataclass or derive from pydantic.BaseModel"
        )
    return EventDescriptor(declaration.name, cls, declaration.durable, declaration.retry)
