"""A provider used directly, below the manager."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from typing import Optional

from aspyx_event.envelope import (
    CE_ID,
    CE_PARTITION_KEY,
    CE_SOURCE,
    CE_SPECVERSION,
    CE_TYPE,
    Envelope,
)
from aspyx_event.events import EventDescriptor, describe_event
from aspyx_event.listeners import EventListenerDescriptor, describe_listener
from aspyx_event.provider import Delivery, OnDelivery, Provider, Subscription
from aspyx_event.testing.conformance.bench import TIMEOUT, Bench


class Inbox:
    """The deliveries one listener was handed, in their order. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.deliveries: list[Delivery] = []

    def receive(self, delivery: Delivery) -> None:
        """For ``Provider.subscribe``: keep it, unsettled."""
        with self._changed:
            self.deliveries.append(delivery)
            self._changed.notify_all()

    def accept(self, delivery: Delivery) -> None:
        """For ``Provider.subscribe``: accept it at once."""
        delivery.accept()
        self.receive(delivery)

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

    def wait_until_quiet(self, seconds: float = 0.5) -> None:
        """Wait until no further delivery comes for so long."""
        with self._changed:
            seen = -1
            while seen != len(self.deliveries):
                seen = len(self.deliveries)
                self._changed.wait_for(lambda: len(self.deliveries) > seen, seconds)  # noqa: B023 - called at once


class Seam(Inbox):
    """A provider with one event and one listener, whose inbox this is. ``hold``: deliveries stay unsettled."""

    def __init__(self, bench: Bench, *, credit: int = 100, hold: bool = True) -> None:
        super().__init__()
        self.bench = bench
        self.provider: Provider = bench.started_provider()
        self._kind = bench.event("seam")
        self.event: EventDescriptor = describe_event(self._kind)
        self.listener: EventListenerDescriptor = describe_listener(bench.listener(self._kind, "seam"))
        self.provider.declare(self.provider.error_queue, timeout=TIMEOUT)
        self.provider.declare(self.listener, timeout=TIMEOUT)
        on_delivery: OnDelivery = self.receive if hold else self.accept
        self.subscription: Subscription = self.provider.subscribe(
            self.listener, on_delivery, credit=credit, timeout=TIMEOUT
        )

    def reopen(self) -> Inbox:
        """Close the subscription and open another, with an inbox of its own: what is in the queue comes to it."""
        self.subscription.close(TIMEOUT)
        inbox = Inbox()
        self.subscription = self.provider.subscribe(self.listener, inbox.receive, credit=100, timeout=TIMEOUT)
        return inbox

    def another_listener(self) -> Inbox:
        """The inbox of a second listener of the same event."""
        inbox = Inbox()
        other = describe_listener(self.bench.listener(self._kind, "other"))
        self.provider.declare(other, timeout=TIMEOUT)
        self.provider.subscribe(other, inbox.receive, credit=100, timeout=TIMEOUT)
        return inbox

    def send(self, count: int = 1, body: bytes = b'{"number":1}', headers: Optional[Mapping[str, str]] = None) -> None:
        """Send envelopes and wait for their confirmations."""
        pending = [self.provider.send(self._envelope(body, headers or {}), self.event) for _ in range(count)]
        for confirmation in pending:
            confirmation.result(TIMEOUT)

    def _envelope(self, body: bytes, headers: Mapping[str, str]) -> Envelope:
        attributes = {CE_ID: str(uuid.uuid4()), CE_SOURCE: "seam", CE_TYPE: self.event.name, CE_SPECVERSION: "1.0"}
        return Envelope(body, {**attributes, CE_PARTITION_KEY: "k", **headers})
