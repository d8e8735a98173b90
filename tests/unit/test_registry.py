"""EventRegistry.register, instances, and lookup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from aspyx_event import (
    ConfigurationError,
    EnvelopePipeline,
    EventListener,
    EventRegistry,
    envelope_pipeline,
    event,
    event_listener,
)


@event()
@dataclass
class Placed:
    number: int = 0


@event_listener(Placed)
class Billing(EventListener[Placed]):
    def __init__(self, currency: str = "EUR") -> None:
        self.currency = currency

    def on(self, event: Placed) -> None:
        pass


@event_listener(Placed)
def ship(event: Placed) -> None:
    pass


@envelope_pipeline(order=2)
class Second(EnvelopePipeline):
    pass


@envelope_pipeline(order=1)
class First(EnvelopePipeline):
    pass


@envelope_pipeline(order=2)
class Third(EnvelopePipeline):
    pass


class Undecorated(EventListener[Placed]):
    def on(self, event: Placed) -> None:
        pass


def another(name: str) -> type:
    """A second listener class of that name."""
    return event_listener(Placed, name)(type("Other", (), {"on": lambda self, event: None}))


def test_register() -> None:
    """Classes, functions and instances are registered; a listener brings its event."""
    registry = EventRegistry().register(Billing, ship, Second())
    assert [e.name for e in registry.events] == ["Placed"]
    assert [listener.name for listener in registry.listeners] == ["Billing", "ship"]
    assert repr(registry) == "<EventRegistry 1 events, 2 listeners, 1 pipelines>"


def test_register_twice() -> None:
    """Registering again changes nothing."""
    pipeline = First()
    registry = EventRegistry().register(Placed, Billing, ship, pipeline).register(Placed, Billing, ship, pipeline)
    assert repr(registry) == "<EventRegistry 1 events, 2 listeners, 1 pipelines>"


@pytest.mark.parametrize("instance_first", [True, False])
def test_instance_replaces_class(instance_first: bool) -> None:
    """A ready instance takes the place of its class, whichever came first."""
    instance, pipeline = Billing("USD"), First()
    things = [instance, Billing, pipeline, First] if instance_first else [Billing, instance, First, pipeline]
    registry = EventRegistry().register(*things)
    assert registry.instance(registry.listeners[0].target) is instance
    assert registry.pipelines() == (pipeline,)


def test_two_listeners_of_one_name() -> None:
    """Two listeners of one name are refused, naming both places and the way out."""
    with pytest.raises(
        ConfigurationError,
        match=rf"two listeners are named 'Billing': {__name__}\.Billing and .*Other; .*@event_listener\(\.\.\., name=",
    ):
        EventRegistry().register(Billing, another("Billing"))


def test_two_instances_of_one_class() -> None:
    """Two instances of one listener class would read one queue: refused."""
    with pytest.raises(ConfigurationError, match="two listeners are named 'Billing'"):
        EventRegistry().register(Billing("EUR"), Billing("USD"))


def test_failed_registration_adds_nothing() -> None:
    """A thing that is refused leaves no trace."""
    other = event("Placed")(dataclass(type("Impostor", (), {})))
    registry = EventRegistry().register(Placed)

    @event_listener(other)
    def listener(event: Any) -> None:
        pass

    with pytest.raises(ConfigurationError, match="two events are named 'Placed'"):
        registry.register(listener)
    assert registry.listeners == ()
    assert [e.type for e in registry.events] == [Placed]


@pytest.mark.parametrize("thing", [Undecorated, Undecorated(), print, 3, None, "Billing"])
def test_undecorated(thing: Any) -> None:
    """What is not decorated is named, with the decorators."""
    with pytest.raises(ConfigurationError, match=r"neither event, listener nor pipeline: decorate it with @event\(\)"):
        EventRegistry().register(thing)


def test_undecorated_is_named() -> None:
    """The error names class, or the class of the instance."""
    with pytest.raises(ConfigurationError, match=rf"^{__name__}\.Undecorated is neither"):
        EventRegistry().register(Undecorated)
    with pytest.raises(ConfigurationError, match=rf"^an instance of {__name__}\.Undecorated is neither"):
        EventRegistry().register(Undecorated())


def test_event_for() -> None:
    """A decorated event that nobody registered is registered on the spot; anything else is refused."""
    registry = EventRegistry()
    assert registry.event_for(Placed).name == "Placed"
    assert [e.name for e in registry.events] == ["Placed"]
    with pytest.raises(ConfigurationError, match=r"builtins\.int is not an event"):
        registry.event_for(int)


def test_registries_are_independent() -> None:
    """Decorators touch no registry, and registries do not know each other."""
    assert EventRegistry().register(Placed).events != EventRegistry().events


def test_factory() -> None:
    """The factory makes each instance, once."""
    made: list[type] = []

    def factory(cls: type) -> Any:
        made.append(cls)
        return cls("CHF") if cls is Billing else cls()

    registry = EventRegistry(factory=factory).register(Billing, First)
    assert registry.instance(Billing).currency == "CHF"
    assert registry.instance(Billing) is registry.instance(Billing)
    registry.pipelines()
    registry.pipelines()
    assert made == [Billing, First]
    assert registry.instance(ship) is ship


def test_factory_failure() -> None:
    """A class that cannot be instantiated is named, with the two ways out."""

    def factory(cls: type) -> Any:
        raise KeyError("no binding")

    with pytest.raises(
        ConfigurationError, match=rf"{__name__}\.Billing could not be instantiated: .*factory="
    ) as caught:
        EventRegistry(factory=factory).register(Billing).instance(Billing)
    assert isinstance(caught.value.__cause__, KeyError)


def test_factory_makes_nothing() -> None:
    """A factory that answers None is told so at once."""
    with pytest.raises(ConfigurationError, match=rf"the factory made None for {__name__}\.Billing"):
        EventRegistry(factory=lambda cls: None).register(Billing).instance(Billing)


def test_constructor_arguments() -> None:
    """A class that needs arguments says what to do."""

    @event_listener(Placed)
    class Needy:
        def __init__(self, database: object) -> None:
            pass

        def on(self, event: Placed) -> None:
            pass

    with pytest.raises(
        ConfigurationError, match=r"Needy could not be instantiated: .*database.*register a ready instance"
    ):
        EventRegistry().register(Needy).instance(Needy)


def test_pipeline_order() -> None:
    """Pipelines are ordered by their order; equal orders keep the order of registration."""
    registry = EventRegistry().register(Third, Second, First)
    assert [type(pipeline) for pipeline in registry.pipelines()] == [First, Third, Second]


def test_a_copy() -> None:
    """A copy has the same content and factory, makes instances of its own, and neither changes the other."""
    made: list[type] = []

    def factory(cls: type) -> Any:
        made.append(cls)
        return cls()

    ready = Second()
    registry = EventRegistry(factory=factory).register(Billing, ready, First)
    copy = registry.copy()
    assert copy.listeners == registry.listeners
    assert copy.events == registry.events
    assert copy.pipelines()[1] is registry.pipelines()[1] is ready
    assert copy.instance(Billing) is not registry.instance(Billing)
    assert made.count(Billing) == 2
    copy.register(ship)
    registry.register(Third)
    assert [listener.name for listener in registry.listeners] == ["Billing"]
    assert len(copy.pipelines()) == 2


def test_replacing() -> None:
    """An instance, or another listener of the name, takes the place of a class and of an instance; order stays."""
    first, second, pipeline = Billing("USD"), Billing("GBP"), Second()
    other = another("ship")
    registry = EventRegistry().register(Billing, ship, Second, Third)
    for billing in (first, second):
        registry.replace(billing, other, pipeline)
        assert [listener.target for listener in registry.listeners] == [billing, other]
        assert registry.pipelines()[0] is pipeline
    assert [listener.name for listener in registry.listeners] == ["Billing", "ship"]


def test_what_cannot_be_replaced() -> None:
    """A name that is not there, another event, and what is no listener are refused, and nothing changes."""

    @event()
    @dataclass
    class Shipped:
        number: int = 0

    registry = EventRegistry().register(Billing)
    for thing, words in (
        (ship, r"no listener 'ship' here; the names are \['Billing'\]"),
        (event_listener(Shipped, "Billing")(lambda e: None), "is one for .*Placed, and .* for .*Shipped"),
        (First(), "no pipeline .*First"),
        (Placed, "neither a listener nor a pipeline"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            registry.replace(thing)
    assert repr(registry) == "<EventRegistry 1 events, 1 listeners, 0 pipelines>"
