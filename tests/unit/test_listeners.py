"""@event_listener, EventListener, and their agreement."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Callable, Generic, Optional, Protocol, TypeVar, Union

import pytest

from aspyx_event import ConfigurationError, EventListener, RetryPolicy, event, event_listener
from aspyx_event.listeners import describe_listener, handler_of, listener_declaration

T = TypeVar("T")


@dataclass
class Base:
    number: int = 0


@event(durable=True)
@dataclass
class Placed(Base):
    pass


@event()
@dataclass
class Shipped:
    pass


class HasNumber(Protocol):
    number: int


@event_listener(Placed)
class Billing(EventListener[Placed]):
    def on(self, event: Placed) -> None:
        pass


def test_defaults() -> None:
    """A listener's name defaults to the class name; it competes, and has no options of its own."""
    found = describe_listener(Billing)
    assert (found.name, found.event.name, found.per_process) == ("Billing", "Placed", False)
    assert (found.concurrency, found.prefetch, found.retry) == (None, None, None)
    assert str(found) == "Billing"
    assert found.durable


def test_options() -> None:
    """All options reach the descriptor, and a per_process listener is not durable."""
    policy = RetryPolicy(immediate=0)

    @event_listener(Placed, "mine", True, concurrency=2, prefetch=5, retry=policy)
    class Listener(EventListener[Placed]):
        def on(self, event: Placed) -> None:
            pass

    found = describe_listener(Listener)
    assert (found.name, found.per_process, found.concurrency, found.prefetch) == ("mine", True, 2, 5)
    assert found.retry is policy
    assert not found.durable


def test_function() -> None:
    """A plain function is a listener, named after itself."""

    @event_listener(Placed)
    def ship(event: Placed) -> None:
        pass

    assert describe_listener(ship).name == "ship"
    assert describe_listener(ship).origin is ship
    assert handler_of(ship) is ship


def test_instance() -> None:
    """A ready instance is described like its class."""
    listener = Billing()
    found = describe_listener(listener)
    assert found.target is listener
    assert found.origin is Billing
    assert found == describe_listener(Billing)
    assert handler_of(listener) == listener.on


def test_without_base_class() -> None:
    """The base class is for the type checker: a decorated class with ``on`` is enough."""

    @event_listener(Placed)
    class Bare:
        def on(self, event: Any) -> None:
            pass

    assert describe_listener(Bare).name == "Bare"


def test_wrapped_function() -> None:
    """A decorator above @event_listener that uses functools.wraps keeps the declaration."""

    def logged(function: Callable[[Placed], None]) -> Callable[[Placed], None]:
        @functools.wraps(function)
        def wrapper(event: Placed) -> None:
            function(event)

        return wrapper

    @logged
    @event_listener(Placed)
    def ship(event: Placed) -> None:
        pass

    assert describe_listener(ship).target is ship


def test_subclass_is_no_listener() -> None:
    """A subclass of a listener is none until it is decorated itself."""

    class Special(Billing):
        pass

    assert listener_declaration(Special) is None
    with pytest.raises(ConfigurationError, match=r"Special is not a listener: decorate it"):
        describe_listener(Special)


@pytest.mark.parametrize("name", ["a b", "a::b", "<lambda>", "ü"])
def test_bad_names(name: str) -> None:
    """A name that cannot be a queue is refused at the decorator."""
    with pytest.raises(ConfigurationError, match="listener name"):
        event_listener(Placed, name)


def test_lambda() -> None:
    """A lambda needs a name."""
    with pytest.raises(ConfigurationError, match="'<lambda>' is not a name"):
        event_listener(Placed)(lambda event: None)
    assert describe_listener(event_listener(Placed, "named")(lambda event: None)).name == "named"


@pytest.mark.parametrize("option", ["concurrency", "prefetch"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2"])
def test_bad_numbers(option: str, value: Any) -> None:
    """concurrency and prefetch are whole numbers from 1 on."""
    with pytest.raises(ConfigurationError, match=f"{option}={value!r}"):
        event_listener(Placed, **{option: value})


def test_no_policy() -> None:
    """A retry policy that is none is refused, for events and listeners."""
    with pytest.raises(ConfigurationError, match=r"event_listener\(retry=3\): give a RetryPolicy"):
        event_listener(Placed, retry=3)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"event\(retry=3\): give a RetryPolicy"):
        event(retry=3)  # type: ignore[arg-type]


def test_a_group_is_no_per_process() -> None:
    """The third argument is a bool: the group that stood there in aspyx-event 0.9 is refused, not taken for True."""
    with pytest.raises(ConfigurationError, match=r"event_listener\(per_process='billing'\): True or False"):
        event_listener(Placed, "Billing", "billing")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"event\(durable='yes'\): True or False"):
        event("Placed", "yes")  # type: ignore[arg-type]


def test_undecorated_event() -> None:
    """A listener for an undecorated class names both."""

    @event_listener(Base)
    class Listener(EventListener[Base]):
        def on(self, event: Base) -> None:
            pass

    with pytest.raises(ConfigurationError, match=r"listener 'Listener' \(.*Listener\): .*Base is not an event"):
        describe_listener(Listener)


def test_event_that_is_no_class() -> None:
    """A listener for something that is no class says so."""

    @event_listener("Placed")  # type: ignore[arg-type]
    def listener(event: Any) -> None:
        pass

    with pytest.raises(ConfigurationError, match="'Placed' is no class"):
        describe_listener(listener)


def test_base_class_disagrees() -> None:
    """A base class for another event than the decorator's is refused, naming both."""

    @event_listener(Placed)
    class Listener(EventListener[Shipped]):
        def on(self, event: Any) -> None:
            pass

    with pytest.raises(ConfigurationError, match=r"declared for .*Placed, but derives from EventListener\[Shipped\]"):
        describe_listener(Listener)


def test_annotation_disagrees() -> None:
    """An annotation of ``on`` for another event than the decorator's is refused, naming both."""

    @event_listener(Placed)
    class Listener:
        def on(self, event: Shipped) -> None:
            pass

    with pytest.raises(ConfigurationError, match=r"declared for .*Placed, but it takes Shipped"):
        describe_listener(Listener)


def test_function_annotation_disagrees() -> None:
    """The same for a function."""

    @event_listener(Placed)
    def listener(event: Shipped) -> None:
        pass

    with pytest.raises(ConfigurationError, match=r"declared for .*Placed, but it takes Shipped"):
        describe_listener(listener)


def test_wider_annotations_fit() -> None:
    """A base class, a union, Any, a protocol, a subscripted type, and no annotation at all fit."""
    for hint in (Base, Union[Placed, Shipped], Optional[Placed], Any, object, HasNumber, T):

        def on(self: Any, event: Any) -> None:
            pass

        on.__annotations__["event"] = hint
        listener = event_listener(Placed, "Listener")(type("Listener", (), {"on": on}))
        assert describe_listener(listener).name == "Listener", hint


def test_unresolvable_annotation_is_skipped() -> None:
    """An annotation that cannot be resolved is not judged."""

    @dataclass
    @event()
    class Local:
        pass

    @event_listener(Local)
    class Listener(EventListener["Local"]):
        def on(self, event: Local) -> None:
            pass

    @event_listener(Local)
    def function(event: Unknown) -> None:  # type: ignore[name-defined]  # noqa: F821
        pass

    assert describe_listener(Listener).event.type is Local
    assert describe_listener(function).event.type is Local


def test_generic_intermediate_base() -> None:
    """A generic base class of the user's own between EventListener and the listener is fine."""

    class Audited(EventListener[T], Generic[T]):
        pass

    @event_listener(Placed)
    class Listener(Audited[Placed]):
        def on(self, event: Placed) -> None:
            pass

    assert describe_listener(Listener).name == "Listener"


def test_no_on() -> None:
    """A listener class without ``on`` is refused."""

    @event_listener(Placed)
    class Listener(EventListener[Placed]):
        pass

    with pytest.raises(ConfigurationError, match=r"has no method on\(self, event\)"):
        describe_listener(Listener)
    with pytest.raises(TypeError, match="Listener has no method on"):
        Listener().on(Placed())


def test_arity() -> None:
    """A listener that cannot be called with one argument is refused."""

    @event_listener(Placed)
    def no_argument() -> None:
        pass

    @event_listener(Placed)
    class Two:
        def on(self, event: Placed, envelope: Any) -> None:
            pass

    for listener in (no_argument, Two):
        with pytest.raises(ConfigurationError, match="callable with one argument"):
            describe_listener(listener)


def test_static_on() -> None:
    """``on`` may be a static method, and may have defaults after the event."""

    @event_listener(Placed)
    class Static:
        @staticmethod
        def on(event: Placed, extra: int = 0) -> None:
            pass

    assert describe_listener(Static).name == "Static"
    handler_of(Static())(Placed())


def test_without_parentheses() -> None:
    """@event_listener without its event says so, instead of making the listener vanish."""

    class Listener(EventListener[Placed]):
        def on(self, event: Placed) -> None:
            pass

    def function(event: Placed) -> None:
        pass

    for thing in (Listener, function):
        with pytest.raises(ConfigurationError, match=rf"write @event_listener\(EventType\) on .*{thing.__name__}"):
            event_listener(thing)  # type: ignore[arg-type]


def test_yield() -> None:
    """A listener that is a generator would never run: it is refused."""

    @event_listener(Placed)
    def generator(event: Placed) -> Any:
        yield

    @event_listener(Placed)
    class AsyncGenerator:
        async def on(self, event: Placed) -> Any:
            yield

    for listener in (generator, AsyncGenerator):
        with pytest.raises(ConfigurationError, match="contains a 'yield'"):
            describe_listener(listener)
