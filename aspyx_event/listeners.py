"""What a listener is: a class (or a plain function) that handles one kind of event."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Callable, Generic, Optional, TypeVar, Union, get_args, get_origin

from aspyx_event.events import EventDescriptor, check_name, check_policy, describe_event, place
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.retry import RetryPolicy
from aspyx_event.typehints import accepts, hint_of_first_parameter

T_contra = TypeVar("T_contra", contravariant=True)
L = TypeVar("L", bound=Callable[..., Any])

_DECLARATION = "__aspyx_listener__"


class EventListener(Generic[T_contra]):
    """Base class of listeners: ``class Billing(EventListener[OrderPlaced])``.

    One instance serves all events of its kind, on several worker threads at once unless ``concurrency=1``.
    """

    def on(self, event: T_contra) -> Union[Awaitable[None], None]:  # noqa: ARG002
        """Handle one event; may be ``async``. What it raises decides what happens to the event: see RetryPolicy."""
        raise TypeError(f"{type(self).__name__} has no method on(self, event)")


@dataclass(frozen=True)
class ListenerDeclaration:
    """What ``@event_listener`` said."""

    event_type: type
    name: str
    per_process: bool
    concurrency: Optional[int]
    prefetch: Optional[int]
    retry: Optional[RetryPolicy]


@dataclass(frozen=True)
class EventListenerDescriptor:
    """A listener as a registry knows it. Immutable."""

    name: str
    event: EventDescriptor
    target: Any = field(compare=False, repr=False)
    """The decorated class, the decorated function, or a ready instance."""
    per_process: bool = False
    concurrency: Optional[int] = None
    prefetch: Optional[int] = None
    retry: Optional[RetryPolicy] = field(default=None, compare=False)

    @property
    def origin(self) -> Any:
        """The class or function that carries the decorator."""
        return type(self.target) if _is_instance(self.target) else self.target

    @property
    def durable(self) -> bool:
        """Whether its queue keeps events while the listener is down: a durable event, and not one queue a process."""
        return self.event.durable and not self.per_process

    def __str__(self) -> str:
        return self.name


def event_listener(
    event_type: type,
    name: str = "",
    per_process: bool = False,
    *,
    concurrency: int | None = None,
    prefetch: int | None = None,
    retry: RetryPolicy | None = None,
) -> Callable[[L], L]:
    """Declare a listener for ``event_type``: an ``EventListener`` class, or a function that takes the event.

    name: its queue's name, by default the class's or function's; unique in a registry, and on a broker.
    per_process: False, one queue, for which all processes compete; True, every process gets every event.
    concurrency: how many events it handles at once in this process, by default as many as there are workers; where
        there are several listeners, one worker fewer, so that a listener that hangs does not stop the others.
    prefetch: how many deliveries may wait or run here (the credit), by default fitted to the measured rate.
    retry: its own policy, before the event's and the manager's.

    Raises ConfigurationError for impossible names and numbers; a type that does not fit is found at registration.
    """
    if inspect.isroutine(event_type) or (isinstance(event_type, type) and issubclass(event_type, EventListener)):
        raise ConfigurationError(f"write @event_listener(EventType) on {place(event_type)}")
    if name:
        check_name(name, "listener name")
    if not isinstance(per_process, bool):  # in aspyx-event 0.9 the third argument is a group
        raise ConfigurationError(f"event_listener(per_process={per_process!r}): True or False; there are no groups")
    check_policy(retry, "event_listener")
    for option, value in (("concurrency", concurrency), ("prefetch", prefetch)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ConfigurationError(f"event_listener({option}={value!r}): a whole number from 1 on")

    def declare(target: L) -> L:
        own = check_name(name or getattr(target, "__name__", ""), "listener name")
        declaration = ListenerDeclaration(event_type, own, per_process, concurrency, prefetch, retry)
        try:
            setattr(target, _DECLARATION, declaration)
        except (AttributeError, TypeError):
            raise ConfigurationError(
                f"@event_listener stands on {place(target)}, which takes no attributes: "
                "it belongs on a class or function"
            ) from None
        return target

    return declare


def listener_declaration(thing: Any) -> ListenerDeclaration | None:
    """The declaration of a class or function, None when it has none of its own."""
    declaration = getattr(thing, "__dict__", {}).get(_DECLARATION)
    return declaration if isinstance(declaration, ListenerDeclaration) else None


def _is_instance(target: Any) -> bool:
    return not isinstance(target, type) and not inspect.isroutine(target)


def describe_listener(thing: Any) -> EventListenerDescriptor:
    """The descriptor of a decorated class or function, or of an instance of a decorated class.

    Raises ConfigurationError when the event is none, or when base class, ``on`` and decorator disagree.
    """
    origin = type(thing) if _is_instance(thing) else thing
    declaration = listener_declaration(origin)
    if declaration is None:
        raise ConfigurationError(f"{place(origin)} is not a listener: decorate it with @event_listener(EventType)")
    try:
        event = describe_event(declaration.event_type)
    except ConfigurationError as error:
        raise ConfigurationError(f"listener {declaration.name!r} ({place(origin)}): {error}") from error
    except AttributeError:
        raise ConfigurationError(
            f"listener {declaration.name!r} ({place(origin)}): {declaration.event_type!r} is no class"
        ) from None
    _check_fit(declaration, origin, event.type)
    return EventListenerDescriptor(
        name=declaration.name,
        event=event,
        target=thing,
        per_process=declaration.per_process,
        concurrency=declaration.concurrency,
        prefetch=declaration.prefetch,
        retry=declaration.retry,
    )


def handler_of(target: Any) -> Callable[[Any], Any]:
    """What to call with an event: the bound ``on`` of an instance, or the function itself."""
    handler = getattr(target, "on", None) if _is_instance(target) else target
    if not callable(handler):
        raise ConfigurationError(
            f"an instance of {place(type(target))} is no listener: it has no method on(self, event)"
        )
    return handler  # type: ignore[no-any-return]


def _check_fit(declaration: ListenerDeclaration, origin: Any, event_type: type) -> None:
    where = f"listener {declaration.name!r} ({place(origin)})"
    if isinstance(origin, type):
        if getattr(origin, "on", EventListener.on) is EventListener.on:
            raise ConfigurationError(f"{where} has no method on(self, event)")
        base = _base_argument(origin)
        if base is not None and not accepts(base, event_type):
            raise ConfigurationError(
                f"{where} is declared for {place(event_type)}, but derives from EventListener[{base.__name__}]"
            )
        handler = origin.on  # type: ignore[attr-defined]
        bound = not isinstance(inspect.getattr_static(origin, "on"), staticmethod)
    else:
        handler, bound = origin, False
    _check_arity(where, handler, bound)
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise ConfigurationError(f"{where}: it contains a 'yield', so calling it would handle nothing")
    hint = hint_of_first_parameter(handler, skip_self=bound)
    if hint is not None and not accepts(hint, event_type):
        shown = getattr(hint, "__name__", str(hint))
        raise ConfigurationError(f"{where} is declared for {place(event_type)}, but it takes {shown}")


def _check_arity(where: str, handler: Any, bound: bool) -> None:
    try:
        inspect.signature(handler).bind(*([None, None] if bound else [None]))
    except TypeError:
        raise ConfigurationError(f"{where}: it must be callable with one argument, the event") from None
    except ValueError:  # a builtin without a signature: calling it will tell
        return


def _base_argument(cls: type) -> type | None:
    for base in cls.__mro__:
        for generic in vars(base).get("__orig_bases__", ()):
            if get_origin(generic) is EventListener:
                argument = get_args(generic)[0]
                return argument if isinstance(argument, type) else None
    return None
