"""The workbench of one test: an event of its own, listeners that record, managers that are stopped at the end."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Callable, Optional

import pytest

from aspyx_event.delivery.dead_letters import DeadLetter
from aspyx_event.envelope import (
    CE_ID,
    CE_PARTITION_KEY,
    CE_SOURCE,
    CE_SPECVERSION,
    CE_TYPE,
    Envelope,
)
from aspyx_event.events import EventDescriptor, describe_event, event
from aspyx_event.exceptions import EventError
from aspyx_event.listeners import EventListenerDescriptor, describe_listener, event_listener
from aspyx_event.manager import EventManager
from aspyx_event.provider import Delivery, OnDelivery, Provider, Subscription
from aspyx_event.registry import EventRegistry
from aspyx_event.retry import RetryPolicy
from aspyx_event.testing.conformance.recorder import Handled, Recorder

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

    downtime = 0.5
    """Seconds for which a durable listener is down while events are sent."""

    def make_provider(self, server_name: str, prefix: str, *, port: Optional[int] = None) -> Provider:
        """A new provider, not started, for the broker under test; ``port``: connect through the proxy that is there."""
        raise NotImplementedError("a conformance suite needs make_provider()")

    def broker_port(self) -> Optional[int]:
        """The port on 127.0.0.1 whose connections can be cut; None: there is no connection."""
        return None

    def restart_broker(self) -> None:
        """Stop the broker and start it again on the same port with its data; skip where there is none."""
        pytest.skip("there is no broker that could be restarted")

    def queue_names(self) -> Optional[set[str]]:
        """The names of all queues of the broker, if it can be asked."""
        return None

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        """The workbench; everything on it is stopped afterwards."""
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

    def started_provider(self, server: str = "seam") -> Provider:
        """A started provider, for tests at the seam."""
        provider = self.provider(server)
        self._providers.append(provider)
        provider.start(lambda _state: None, timeout=TIMEOUT)
        return provider

    def dead_letters(self, manager: EventManager, count: int) -> list[DeadLetter]:
        """The dead letters, when there are so many."""
        found: list[DeadLetter] = []
        pause = threading.Event()
        for _ in range(200):
            found = list(manager.dead_letters())
            if len(found) >= count:
                break
            pause.wait(0.1)
        assert len(found) == count, [(letter.id, letter.reason) for letter in found]
        return found

    def close(self) -> None:
        """Stop everything."""
        for manager in self._managers:
            manager.stop(10)
        for provider in self._providers:
            with suppress(EventError):
                provider.stop(timeout=10)


class Seam:
    """A provider used directly: one event, one listener, what it gets in a list."""

    def __init__(self, bench: Bench, *, credit: int = 100, hold: bool = True) -> None:
        self.bench = bench
        self.provider = bench.started_provider()
        kind = bench.event("seam")
        self.event: EventDescriptor = describe_event(kind)
        self.listener: EventListenerDescriptor = describe_listener(bench.listener(kind, "seam"))
        self._changed = threading.Condition()
        self.deliveries: list[Delivery] = []
        self.provider.declare(self.provider.error_queue, timeout=TIMEOUT)
        self.provider.declare(self.listener, timeout=TIMEOUT)
        on_delivery: OnDelivery = self._receive if hold else self._accept
        self.subscription: Subscription = self.provider.subscribe(
            self.listener, on_delivery, credit=credit, timeout=TIMEOUT
        )

    def send(self, count: int = 1, body: bytes = b'{"number":1}', headers: Optional[Mapping[str, str]] = None) -> None:
        """Send envelopes and wait for their confirmations."""
        pending = [self.provider.send(self._envelope(body, headers or {}), self.event) for _ in range(count)]
        for confirmation in pending:
            confirmation.result(TIMEOUT)

    def _envelope(self, body: bytes, headers: Mapping[str, str]) -> Envelope:
        attributes = {CE_ID: str(uuid.uuid4()), CE_SOURCE: "seam", CE_TYPE: self.event.name, CE_SPECVERSION: "1.0"}
        return Envelope(body, {**attributes, CE_PARTITION_KEY: "k", **headers})

    def wait(self, count: int, *, timeout: float = TIMEOUT) -> list[Delivery]:
        """Wait for so many deliveries since the beginning."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.deliveries) >= count, timeout)
            assert came, f"{len(self.deliveries)} deliveries instead of {count}"
            return list(self.deliveries)

    def assert_quiet(self, seconds: float = 0.5) -> None:
        """No further delivery for so long."""
        with self._changed:
            before = len(self.deliveries)
            assert not self._changed.wait_for(lambda: len(self.deliveries) > before, seconds), "an unexpected delivery"

    def _receive(self, delivery: Delivery) -> None:
        with self._changed:
            self.deliveries.append(delivery)
            self._changed.notify_all()

    def _accept(self, delivery: Delivery) -> None:
        delivery.accept()
        self._receive(delivery)
