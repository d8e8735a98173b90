"""The registry: which events, listeners and pipelines belong together. Explicit, an instance, no global state."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Callable, Union

from aspyx_event.events import EventDescriptor, describe_event, event_declaration, place
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.listeners import (
    EventListenerDescriptor,
    describe_listener,
    listener_declaration,
)
from aspyx_event.pipeline import EnvelopePipeline, pipeline_declaration

Factory = Callable[[type], Any]


def _call(cls: type) -> Any:
    return cls()


class EventRegistry:
    """Collects decorated classes and functions. Thread-safe.

    factory: makes the instances of listener and pipeline classes; by default the class is called without arguments.
    Plug a container in with ``EventRegistry(factory=container.get)``. Each class gets one instance per registry, made
    when a manager starts.
    """

    def __init__(self, *, factory: Factory = _call) -> None:
        self._factory = factory
        self._lock = threading.RLock()
        self._events: dict[str, EventDescriptor] = {}
        self._by_type: dict[type, EventDescriptor] = {}
        self._listeners: dict[str, EventListenerDescriptor] = {}
        self._pipelines: list[Any] = []
        self._instances: dict[Any, Any] = {}
        self._watchers: list[Callable[[EventListenerDescriptor], None]] = []

    # -- what is in it

    @property
    def events(self) -> tuple[EventDescriptor, ...]:
        """All events, in order of registration."""
        with self._lock:
            return tuple(self._events.values())

    @property
    def listeners(self) -> tuple[EventListenerDescriptor, ...]:
        """All listeners, in order of registration."""
        with self._lock:
            return tuple(self._listeners.values())

    def pipelines(self) -> tuple[EnvelopePipeline, ...]:
        """The pipelines' instances, outermost first."""
        with self._lock:
            ordered = sorted(self._pipelines, key=_order)  # stable: equal orders keep their registration order
            return tuple(self.instance(pipeline) for pipeline in ordered)

    def event_for(self, cls: type) -> EventDescriptor:
        """The descriptor of an event's class, registered if it is new. Raises ConfigurationError if it is no event."""
        found = self._by_type.get(cls)
        return found if found is not None else self._add_event(describe_event(cls))

    def watch(self, watcher: Callable[[EventListenerDescriptor], None]) -> Callable[[], None]:
        """Call ``watcher`` with every listener that is registered from now on; answers the call that ends it."""
        with self._lock:
            self._watchers.append(watcher)

        def end() -> None:
            with self._lock:
                if watcher in self._watchers:
                    self._watchers.remove(watcher)

        return end

    # -- filling it

    def register(self, *things: Any) -> EventRegistry:
        """Add decorated classes and functions, and instances of decorated classes. Returns the registry.

        Raises ConfigurationError, and adds nothing of the offending thing, when it is not decorated, or when its
        name is taken by another one.
        """
        for thing in things:
            if not self._add(thing):
                raise ConfigurationError(
                    f"{_shown(thing)} is neither event, listener nor pipeline: decorate it with @event(), "
                    "@event_listener(EventType) or @envelope_pipeline()"
                )
        return self

    def scan(self, package: Union[str, ModuleType]) -> EventRegistry:
        """Import a package with all its modules and register what is decorated and defined there. Returns the registry.

        ``__main__`` modules are left alone, because importing one runs it, and so are folders without ``__init__.py``.
        Scanning twice changes nothing. Raises ConfigurationError for a module that cannot be imported, and like
        ``register``.
        """
        for module in _modules(package):
            for thing in list(vars(module).values()):
                if getattr(thing, "__module__", None) == module.__name__ and _is_decorated(thing):
                    self._add(thing)
        return self

    def copy(self) -> EventRegistry:
        """A registry with the same content and factory, in which nothing that follows changes this one.

        Classes get new instances there; ready instances are shared.
        """
        made = EventRegistry(factory=self._factory)
        with self._lock:
            made._events.update(self._events)
            made._by_type.update(self._by_type)
            made._listeners.update(self._listeners)
            made._pipelines.extend(self._pipelines)
        return made

    def replace(self, *things: Any) -> EventRegistry:
        """Put other listeners in the place of those of the same name, in tests: a ready instance with its fakes, say.

        Pipelines take the place of those of their class. Order stays. Returns the registry. Raises ConfigurationError,
        and changes nothing by the offending thing, when there is nothing in its place, or when it listens to another
        event.
        """
        for thing in things:
            origin = _origin(thing)
            if listener_declaration(origin) is not None:
                self._replace_listener(describe_listener(thing))
            elif pipeline_declaration(origin) is not None:
                self._replace_pipeline(thing)
            else:
                raise ConfigurationError(f"replace: {_shown(thing)} is neither a listener nor a pipeline")
        return self

    def _replace_listener(self, listener: EventListenerDescriptor) -> None:
        with self._lock:
            other = self._listeners.get(listener.name)
            if other is None:
                raise ConfigurationError(
                    f"replace: there is no listener {listener.name!r} here; the names are {sorted(self._listeners)}"
                )
            if other.event.type is not listener.event.type:
                raise ConfigurationError(
                    f"replace: listener {listener.name!r} is one for {place(other.event.type)}, "
                    f"and {_shown(listener.target)} for {place(listener.event.type)}"
                )
            self._listeners[listener.name] = listener

    def _replace_pipeline(self, thing: Any) -> None:
        kind = thing if isinstance(thing, type) else type(thing)
        with self._lock:
            for position, other in enumerate(self._pipelines):
                if kind is (other if isinstance(other, type) else type(other)):
                    self._pipelines[position] = thing
                    return
        raise ConfigurationError(f"replace: there is no pipeline {place(kind)} here")

    def instance(self, target: Any) -> Any:
        """The instance for a registered class; functions and ready instances are themselves."""
        if not isinstance(target, type):
            return target
        with self._lock:
            if target not in self._instances:
                self._instances[target] = self._made(target)
            return self._instances[target]

    def _made(self, target: type) -> Any:
        try:
            made = self._factory(target)
        except Exception as error:
            raise ConfigurationError(
                f"{place(target)} could not be instantiated: {error}; register a ready instance, "
                "or give the registry a factory="
            ) from error
        if made is None:
            raise ConfigurationError(f"the factory made None for {place(target)}: it has to return an instance")
        return made

    def _add(self, thing: Any) -> bool:
        """Register by every declaration that ``thing`` carries; False when it has none."""
        origin = _origin(thing)
        known = False
        if event_declaration(thing) is not None:
            self._add_event(describe_event(thing))
            known = True
        if listener_declaration(origin) is not None:
            self._add_listener(describe_listener(thing))
            known = True
        if pipeline_declaration(origin) is not None:
            self._add_pipeline(thing)
            known = True
        return known

    def _add_event(self, event: EventDescriptor) -> EventDescriptor:
        with self._lock:
            other = self._events.get(event.name)
            if other is not None and other.type is not event.type:
                raise ConfigurationError(
                    f"two events are named {event.name!r}: {place(other.type)} and {place(event.type)}; "
                    "give one of them another name with @event(name=...)"
                )
            self._by_type[event.type] = self._events.setdefault(event.name, event)
            return self._events[event.name]

    def _add_listener(self, listener: EventListenerDescriptor) -> None:
        with self._lock:
            other = self._listeners.get(listener.name)
            if other is not None:
                if _same(other.target, listener.target):
                    if isinstance(other.target, type):  # a ready instance takes the place of its class
                        self._listeners[listener.name] = listener
                    return
                raise ConfigurationError(
                    f"two listeners are named {listener.name!r}: {place(other.origin)} and {place(listener.origin)}; "
                    "a listener's name is the name of its queue: set another with @event_listener(..., name=...)"
                )
            self._add_event(listener.event)
            self._listeners[listener.name] = listener
            for watcher in self._watchers:
                watcher(listener)

    def _add_pipeline(self, thing: Any) -> None:
        with self._lock:
            for position, other in enumerate(self._pipelines):
                if _same(thing, other):
                    if isinstance(other, type):  # a ready instance takes the place of its class
                        self._pipelines[position] = thing
                    return
            self._pipelines.append(thing)

    def __repr__(self) -> str:
        return (
            f"<EventRegistry {len(self._events)} events, {len(self._listeners)} listeners, "
            f"{len(self._pipelines)} pipelines>"
        )


def _same(one: Any, other: Any) -> bool:
    """Whether two registrations mean the same thing; an instance stands for its class, whichever came first."""
    return one is other or one is type(other) or type(one) is other


def _origin(thing: Any) -> Any:
    """What carries the declaration: the class of a ready instance, or the thing itself."""
    return thing if isinstance(thing, type) or listener_declaration(thing) else type(thing)


def _shown(thing: Any) -> str:
    return (
        place(thing)
        if isinstance(thing, type) or hasattr(thing, "__qualname__")
        else f"an instance of {place(type(thing))}"
    )


def _order(target: Any) -> int:
    declaration = pipeline_declaration(target if isinstance(target, type) else type(target))
    return declaration.order if declaration else 0


def _is_decorated(thing: Any) -> bool:
    return any(find(thing) is not None for find in (event_declaration, listener_declaration, pipeline_declaration))


def _modules(package: Union[str, ModuleType]) -> Iterator[ModuleType]:
    root = package if isinstance(package, ModuleType) else _import(package)
    yield root
    for info in pkgutil.iter_modules(getattr(root, "__path__", ()), root.__name__ + "."):
        if not info.name.endswith(".__main__"):
            yield from _modules(info.name)


def _import(name: str) -> ModuleType:
    if not isinstance(name, str):
        raise ConfigurationError(f"scan({name!r}): give a package, or its dotted name")
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a script without a __main__ guard may want to end the process
        raise ConfigurationError(
            f"scan: the module {name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
