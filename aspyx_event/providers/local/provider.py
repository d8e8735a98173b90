"""LocalProvider: the seam over a bus in memory."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Callable

from aspyx_event.envelope import CE_ID, Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import LifecycleError, ProviderUnavailable
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import (
    Capabilities,
    Confirmation,
    Delivery,
    OnDelivery,
    OnState,
    Provider,
    ProviderState,
    Subscription,
    Target,
)
from aspyx_event.providers.local.bus import Bus, shared_bus
from aspyx_event.providers.local.queues import Consumer, Held, Message, Queue
from aspyx_event.providers.naming import DEFAULT_SERVER_NAME, Naming
from aspyx_event.timing import SYSTEM_CLOCK, Clock
from aspyx_event.topology import DEAD_LETTERS, MISSING, QUEUE, Difference, Resource, Topology, merged

AUTO_DELETE_AFTER = 60.0
PER_PROCESS_DELETE_AFTER = 3600.0

_instances = itertools.count(1)


class LocalProvider(Provider):
    """Events inside one process, with everything a broker does: queues, credit, delays, retries, dead letters.

    Events are encoded and decoded as on a broker, so what works here works there. Each instance is a bus of its own;
    managers share one by sharing the instance, or by the same ``name`` (the URL ``local://name``). Durable events
    wait for their listeners as long as the process lives. Thread-safe.

    clock: by which delays pass and events expire, the system's by default. In tests it is the same
    ``aspyx_event.testing.ManualClock`` as the manager's.

    Raises ConfigurationError for an impossible ``server_name`` or ``prefix``, and for a ``name`` whose bus has another
    clock already.
    """

    capabilities = Capabilities(cross_process=False, delivery_count=False)

    def __init__(self, name: str = "", *, server_name: str = "", prefix: str = "", clock: Clock = SYSTEM_CLOCK) -> None:
        self._naming = Naming(server_name or f"{DEFAULT_SERVER_NAME}-{next(_instances)}", prefix)
        self.bus = shared_bus(name, clock) if name else Bus(clock=clock)
        self._lock = threading.Lock()
        self._starts = 0
        self._consumers: list[Consumer] = []
        self._hold = partial(LocalDelivery, self.bus)
        self._taker = Consumer(Queue("", None), lambda _held: None, credit=0, hold=self._hold)
        """Has what ``take`` took; nothing is handed over to it."""

    @property
    def server_name(self) -> str:
        """See Provider; by default host, process and a running number."""
        return self._naming.server_name

    @property
    def error_queue(self) -> str:
        """See Provider."""
        return self._naming.error_queue

    @property
    def connected(self) -> bool:
        """Whether it is started."""
        return self._starts > 0

    def queue_name(self, listener: EventListenerDescriptor) -> str:
        """See Provider."""
        return self._naming.queue_name(listener)

    def start(self, on_state: OnState, *, timeout: float) -> None:  # noqa: ARG002 - nothing to wait for
        """See Provider. Several managers may start the same instance."""
        with self._lock:
            self._starts += 1
        self.bus.enter()
        on_state(ProviderState(connected=True))

    def declare(self, target: Target, *, timeout: float) -> None:  # noqa: ARG002
        """See Provider. An address needs no declaration: it is the queues' first half."""
        if isinstance(target, str):
            self.bus.declare(target)
        elif isinstance(target, EventListenerDescriptor):
            self.bus.declare(self.queue_name(target), _linger(target))

    def topology(self, targets: Iterable[Target]) -> Topology:
        """See Provider: queues alone. Known at any time."""
        return merged("local", (resource for target in targets for resource in self._resources(target)))

    def _resources(self, target: Target) -> list[Resource]:
        if isinstance(target, EventDescriptor):
            return []
        name, linger, user = (
            (target, None, DEAD_LETTERS)
            if isinstance(target, str)
            else (self.queue_name(target), _linger(target), target.name)
        )
        return [Resource(QUEUE, name, {} if linger is None else {"delete-after": round(linger * 1000)}, (user,))]

    def check(self, targets: Iterable[Target], *, timeout: float) -> list[Difference]:  # noqa: ARG002
        """See Provider."""
        if not self.connected:
            raise LifecycleError("start the provider before you check it")
        there = self.bus.queues
        return [
            Difference(resource, MISSING, "it is there from the start of a manager with this listener on")
            for resource in self.topology(targets).resources
            if resource.name not in there
        ]

    def send(self, envelope: Envelope, event: EventDescriptor) -> Confirmation[None]:
        """See Provider. Confirmed at once."""
        if not self.connected:
            confirmation: Confirmation[None] = Confirmation()
            confirmation.set_exception(ProviderUnavailable("the local provider is not started", event_id=envelope.id))
            return confirmation
        message = Message(  # without names, which take longer than all of it
            envelope.body,
            dict(envelope.wire_headers),
            envelope.content_type,
            event.durable,
            envelope.id or uuid.uuid4().hex,
            None if envelope.ttl is None else self.bus.clock.time() + envelope.ttl,
        )
        self.bus.publish(event.name, message, envelope.delay or 0)
        return _CONFIRMED

    def subscribe(
        self, listener: EventListenerDescriptor, on_delivery: OnDelivery, *, credit: int, timeout: float
    ) -> Subscription:
        """See Provider. A second per_process subscription through this instance gets a queue of its own."""
        if not self.connected:
            raise LifecycleError("start the provider before you subscribe")
        self.declare(listener, timeout=timeout)
        queue = self.queue_name(listener)
        if listener.per_process and self.bus.consumers_of(queue):
            queue = next(q for n in itertools.count(2) if not self.bus.consumers_of(q := f"{queue}.{n}"))
            self.bus.declare(queue, _linger(listener))

        consumer = self.bus.consume(queue, on_delivery, credit, hold=self._hold)
        self._consumers = [*(other for other in self._consumers if other.open), consumer]
        return LocalSubscription(self.bus, consumer)

    def browse(self, queue: str, *, timeout: float) -> Iterator[Envelope]:  # noqa: ARG002
        """See Provider."""
        return map(_read, self.bus.browse(queue))

    def take(self, queue: str, event_id: str, *, timeout: float) -> Delivery | None:  # noqa: ARG002
        """See Provider."""
        found: LocalDelivery | None = self.bus.take(
            queue, lambda message: (message.headers.get(CE_ID) or message.native_id) == event_id, self._taker
        )
        return found

    def stop(self, *, timeout: float | None) -> None:  # noqa: ARG002
        """See Provider. With the last manager that started it, what it holds goes back to its queues; events stay."""
        with self._lock:
            if self._starts == 0:
                return
            self._starts -= 1
            last = self._starts == 0
        if last:
            consumers, self._consumers = self._consumers, []
            for consumer in consumers:
                self.bus.close(consumer)
            for consumer in (*consumers, self._taker):
                for held in reversed(list(consumer.held)):  # so each goes to the head
                    self.bus.settle(held, back=True)
        self.bus.leave()

    def __repr__(self) -> str:
        name = f" {self.bus.name!r}" if self.bus.name else ""
        return f"<LocalProvider{name} {'started' if self.connected else 'stopped'} server={self.server_name}>"


class LocalDelivery(Held, Delivery):
    """A message taken from the bus."""

    __slots__ = ("_bus",)

    def __init__(self, bus: Bus, queue: Queue, consumer: Consumer, message: Message) -> None:
        super().__init__(queue, consumer, message)
        self._bus = bus

    @property
    def alive(self) -> bool:
        """See Delivery."""
        return self in self.consumer.held

    def read(self) -> Envelope:
        """See Delivery."""
        return _read(self.message)

    def accept(self) -> None:
        """See Delivery."""
        self._bus.settle(self, back=False)

    def release(self) -> None:
        """See Delivery."""
        self._bus.settle(self, back=True)

    def forward(self, destination: str, headers: Mapping[str, str], *, delay: float = 0) -> Confirmation[None]:
        """See Delivery."""
        plain = "::" not in destination
        copy = Message(
            body=self.message.body,
            headers=dict(headers),
            content_type=self.message.content_type,
            durable=self.message.durable or plain,
            native_id=self.message.native_id,
            expires_at=None if plain else self.message.expires_at,
        )
        if plain:
            self._bus.declare(destination)
        self._bus.put(destination, copy, delay)
        return _CONFIRMED


class LocalSubscription(Subscription):
    """A consumer on the bus."""

    def __init__(self, bus: Bus, consumer: Consumer) -> None:
        self._bus = bus
        self._consumer = consumer

    @property
    def queue(self) -> str:
        """See Subscription."""
        return self._consumer.queue.name

    def set_credit(self, credit: int) -> None:
        """See Subscription."""
        self._bus.change(self._consumer, credit=credit)

    def pause(self) -> None:
        """See Subscription."""
        self._bus.change(self._consumer, paused=True)

    def resume(self) -> None:
        """See Subscription."""
        self._bus.change(self._consumer, paused=False)

    def close(self, timeout: float | None = None) -> None:  # noqa: ARG002 - a callback never blocks
        """See Subscription."""
        self._bus.close(self._consumer)


class _Confirmed(Confirmation[None]):
    """One for all events: done from the beginning, so that nothing that is done to it changes it any more.

    What senders do with it takes no lock: one that a fork or Ctrl-C left behind would stop them all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set_result(None)

    def done(self) -> bool:
        """Whether it is answered."""
        return True

    def cancelled(self) -> bool:
        """Whether nobody waits."""
        return False

    def cancel(self) -> bool:
        """Too late."""
        return False

    def result(self, timeout: float | None = None) -> None:
        """Answer."""

    def exception(self, timeout: float | None = None) -> None:
        """Answer."""

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call it now."""
        fn(self)


_CONFIRMED = _Confirmed()


def _read(message: Message) -> Envelope:
    envelope = Envelope(message.body, message.headers)  # named in the call, the others take longer than all of it
    envelope.content_type = message.content_type
    envelope.native_id = message.native_id
    envelope.expires_at = message.expires_at
    return envelope


def _linger(listener: EventListenerDescriptor) -> float | None:
    if listener.per_process:
        return PER_PROCESS_DELETE_AFTER
    return None if listener.durable else AUTO_DELETE_AFTER
