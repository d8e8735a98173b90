"""A provider whose broker is the test: deliveries, confirmations and states come when the test says so."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Callable, Optional, Union

from aspyx_event import Capabilities, Delivery, Envelope, EventDescriptor, EventListenerDescriptor, ProviderState
from aspyx_event.exceptions import ProviderError
from aspyx_event.provider import Confirmation, OnDelivery, OnState, Provider, Subscription
from aspyx_event.providers.naming import Naming
from tests.unit.support import Collected

JSON = "application/json"


def confirmed() -> Confirmation[None]:
    """A confirmation that is there already."""
    future: Confirmation[None] = Future()
    future.set_result(None)
    return future


def refused(error: Exception) -> Confirmation[None]:
    """A confirmation that failed already."""
    future: Confirmation[None] = Future()
    future.set_exception(error)
    return future


class FakeDelivery(Delivery):
    """A delivery that writes down what is done to it."""

    def __init__(self, provider: FakeProvider, body: bytes, headers: Mapping[str, str], **envelope: Any) -> None:
        self.provider = provider
        self.body = body
        self.headers = dict(headers)
        self.envelope = envelope
        self.lost = False
        self.settled = Collected[str]()
        self.forwards = Collected[tuple[str, dict[str, str], float]]()

    @property
    def alive(self) -> bool:
        return not self.lost and not self.settled.items

    def read(self) -> Envelope:
        return Envelope(self.body, self.headers, **self.envelope)

    def accept(self) -> None:
        if self.alive:
            self.settled("accepted")

    def release(self) -> None:
        if self.alive:
            self.settled("released")

    def forward(self, destination: str, headers: Mapping[str, str], *, delay: float = 0) -> Confirmation[None]:
        self.forwards((destination, dict(headers), delay))
        return self.provider.on_forward()


class FakeSubscription(Subscription):
    """A subscription that knows its state."""

    def __init__(self, queue: str, on_delivery: OnDelivery, credit: int) -> None:
        self._queue = queue
        self.on_delivery = on_delivery
        self.credits = Collected[int]()
        self.credits(credit)
        self.state = "open"

    @property
    def queue(self) -> str:
        return self._queue

    def set_credit(self, credit: int) -> None:
        self.credits(credit)

    def pause(self) -> None:
        self.state = "paused"

    def resume(self) -> None:
        self.state = "open"

    def close(self, timeout: Optional[float] = None) -> None:
        self.state = "closed"


class FakeProvider(Provider):
    """The double. ``on_send`` and ``on_forward`` answer confirmations; ``deliver`` hands a message over."""

    capabilities = Capabilities()

    def __init__(self) -> None:
        self._naming = Naming("fake")
        self.is_connected = False
        self.on_state: OnState = lambda state: None
        self.on_send: Callable[[], Confirmation[None]] = confirmed
        self.on_forward: Callable[[], Confirmation[None]] = confirmed
        self.during_subscribe: Callable[[FakeSubscription], None] = lambda subscription: None
        self.sent = Collected[tuple[Envelope, EventDescriptor]]()
        self.declared: list[str] = []
        self.subscriptions: dict[str, FakeSubscription] = {}
        self.notes: list[str] = []
        self.starts = self.stops = 0
        self.stop_timeout: Optional[float] = None
        self.fail_start: Optional[BaseException] = None
        self.fail_stop: Optional[BaseException] = None
        self.fail_declare: dict[str, Exception] = {}

    @property
    def server_name(self) -> str:
        return self._naming.server_name

    @property
    def error_queue(self) -> str:
        return self._naming.error_queue

    @property
    def connected(self) -> bool:
        return self.is_connected

    def queue_name(self, listener: EventListenerDescriptor) -> str:
        return self._naming.queue_name(listener)

    def start(self, on_state: OnState, *, timeout: float) -> None:
        self.starts += 1
        if self.fail_start is not None:
            raise self.fail_start
        self.on_state = on_state
        self.is_connected = True
        on_state(ProviderState(connected=True))

    def declare(self, target: Union[EventDescriptor, EventListenerDescriptor, str], *, timeout: float) -> None:
        name = self.queue_name(target) if isinstance(target, EventListenerDescriptor) else str(target)
        if name in self.fail_declare:
            raise self.fail_declare[name]
        self.declared.append(name)

    def findings(self) -> list[str]:
        return self.notes

    def send(self, envelope: Envelope, event: EventDescriptor) -> Confirmation[None]:
        self.sent((envelope, event))
        return self.on_send()

    def subscribe(
        self, listener: EventListenerDescriptor, on_delivery: OnDelivery, *, credit: int, timeout: float
    ) -> Subscription:
        self.declare(listener, timeout=timeout)
        subscription = FakeSubscription(self.queue_name(listener), on_delivery, credit)
        self.subscriptions[listener.name] = subscription
        self.during_subscribe(subscription)
        return subscription

    def browse(self, queue: str, *, timeout: float) -> Iterator[Envelope]:
        return iter(())

    def take(self, queue: str, event_id: str, *, timeout: float) -> Optional[Delivery]:
        return None

    def stop(self, *, timeout: Optional[float]) -> None:
        self.stops += 1
        self.stop_timeout = timeout
        self.is_connected = False
        if self.fail_stop is not None:
            raise self.fail_stop

    def lose_connection(self, error: Optional[ProviderError] = None) -> None:
        """Tell the manager that the connection is gone."""
        self.is_connected = False
        self.on_state(ProviderState(connected=False, error=error))

    def deliver(self, listener: str, body: bytes = b"{}", key: Optional[str] = None, **envelope: Any) -> FakeDelivery:
        """Hand a message to a listener."""
        headers = {"cloudEvents_id": uuid.uuid4().hex, **envelope.pop("headers", {})}
        if key is not None:
            headers["cloudEvents_partitionkey"] = key
        delivery = FakeDelivery(self, body, headers, **envelope)
        self.subscriptions[listener].on_delivery(delivery)
        return delivery

    def __repr__(self) -> str:
        return "<FakeProvider>"
