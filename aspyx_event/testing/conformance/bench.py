"""The workbench of one test: an event of its own, listeners that record, managers that are stopped at the end."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Callable, Optional

import pytest

from aspyx_event.delivery.dead_letters import DeadLetter
from aspyx_event.events import event
from aspyx_event.exceptions import EventError
from aspyx_event.listeners import event_listener
from aspyx_event.manager import EventManager
from aspyx_event.provider import OnState, Provider
from aspyx_event.registry import EventRegistry
from aspyx_event.retry import RetryPolicy
from aspyx_event.testing.conformance.recorder import Handled, Recorder
from aspyx_event.testing.proxy import TcpProxy

TIMEOUT = 30.0
NEVER = RetryPolicy(immediate=0, delayed=())
Action = Callable[[Handled], None]


@dataclass
class Sample:
    """The event of all tests."""

    number: int
    text: str = ""


class Suite:
    """What a subclass says about its provider. See ProviderConformance."""

    _notes: Optional[list[tuple[str, object]]] = None

    downtime = 0.5
    """Seconds for which a durable listener is down while events are sent."""

    def make_provider(self, server_name: str, prefix: str, *, port: Optional[int] = None) -> Provider:
        """A new provider, not started, for the broker under test; ``port``: connect through the proxy that is there."""
        raise NotImplementedError("a conformance suite needs make_provider()")

    def broker_port(self) -> Optional[int]:
        """The port on 127.0.0.1 whose connections can be cut; None: there is no connection."""
        return None

    def restart_broker(self) -> None:
        """Stop the broker and start it again, on the same port and with its data."""
        raise NotImplementedError

    def kill_broker(self) -> None:
        """End the broker as a crash would, and start it again like ``restart_broker``."""
        raise NotImplementedError

    def queue_names(self) -> Optional[set[str]]:
        """The names of all queues of the broker, if it can be asked."""
        return None

    def note(self, name: str, value: object) -> None:
        """Note a property of the running test for whoever reads pytest's reports or its junit XML: ``group``,
        ``capabilities``, ``lacks_capability``, ``lacks_hook``."""
        if self._notes is not None:
            self._notes.append((name, value))

    @contextmanager
    def proxy(self) -> Iterator[TcpProxy]:
        """A proxy before the broker; the test is skipped where there is no connection."""
        port = self.broker_port()
        if port is None:
            self.note("lacks_hook", "broker_port")
            pytest.skip("there is no connection that could be cut")
        with TcpProxy("127.0.0.1", port) as made:
            yield made

    def needs_hook(self, name: str) -> None:
        """Skip the test where a hook was not overridden."""
        if getattr(type(self), name) is getattr(Suite, name):
            self.note("lacks_hook", name)
            pytest.skip(f"there is no {name}()")

    def needs(self, capability: str, provider: Provider) -> None:
        """Skip the test where a started provider lacks a capability."""
        if not getattr(provider.capabilities, capability):
            self.note("lacks_capability", capability)
            pytest.skip(f"Capabilities.{capability} is False")

    @pytest.fixture
    def bench(self, request: pytest.FixtureRequest) -> Iterator[Bench]:
        """The workbench; everything on it is stopped afterwards."""
        self._notes = request.node.user_properties
        self.note("group", request.function.__qualname__.partition(".")[0])
        made = Bench(self)
        try:
            yield made
        finally:
            made.close()


class Bench:
    """Makes events, listeners, providers and managers with names that no other test uses."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.mark = uuid.uuid4().hex[:8]
        self.recorder = Recorder()
        self._managers: list[EventManager] = []
        self._providers: list[Provider] = []

    def event(self, name: str = "sample", *, durable: bool = True) -> type[Sample]:
        """A new event class."""
        declared = type("Sample", (Sample,), {"__doc__": "An event of one test."})
        return event(f"{name}-{self.mark}", durable=durable)(declared)

    def listener(self, kind: type[Sample], name: str, *, action: Optional[Action] = None, **options: Any) -> Any:
        """A listener that records each call, under ``name``, and then does what ``action`` says."""

        def handle(received: Any) -> None:
            call = self.recorder.record(name, received)
            if action is not None:
                action(call)

        return event_listener(kind, f"{name}-{self.mark}", **options)(handle)

    def provider(self, server: str = "a", *, port: Optional[int] = None) -> Provider:
        """A new provider, not started."""
        return self.suite.make_provider(f"{server}-{self.mark}", self.mark, port=port)

    def manager(
        self, *things: Any, server: str = "a", port: Optional[int] = None, listen: bool = True, **options: Any
    ) -> EventManager:
        """A started manager for listeners and events."""
        options = {"workers": 8, "retry": NEVER, **options}
        manager = EventManager(self.provider(server, port=port), registry=EventRegistry().register(*things), **options)
        self._managers.append(manager)
        manager.start(TIMEOUT, listen)
        return manager

    def started_provider(
        self, server: str = "seam", *, port: Optional[int] = None, on_state: OnState = lambda _state: None
    ) -> Provider:
        """A started provider, for tests at the seam."""
        provider = self.provider(server, port=port)
        self._providers.append(provider)
        provider.start(on_state, timeout=TIMEOUT)
        return provider

    def dead_letters(self, manager: EventManager, count: int) -> list[DeadLetter]:
        """The dead letters, when there are so many."""
        self.suite.needs("browse", manager.provider)
        found: list[DeadLetter] = []
        pause = threading.Event()
        for _ in range(200):
            found = list(manager.dead_letters())
            if len(found) >= count:
                break
            pause.wait(0.1)
        assert len(found) == count, [(letter.id, letter.reason) for letter in found]
        return found

    @staticmethod
    def wait_until_ready(manager: EventManager) -> None:
        """Wait until a manager is connected and all its listeners are attached."""
        pause = threading.Event()
        for _ in range(600):
            if manager.health().ready:
                return
            pause.wait(0.05)
        raise AssertionError(f"not ready: {manager.health()}")

    def close(self) -> None:
        """Stop everything."""
        for manager in self._managers:
            manager.stop(10)
        for provider in self._providers:
            with suppress(EventError):
                provider.stop(timeout=10)
