"""RabbitMQ with its STOMP plugin: an event is a routing key of ``amq.topic``, a queue of its own for each listener.

STOMP cannot declare exchanges, so events go where every RabbitMQ has one: ``/topic/<event>`` is the exchange
``amq.topic`` with the event's name as routing key. A listener's queue (``<event>::<listener>``, as over AMQP) is bound
there, and also to the exchange ``<event>`` where an AMQP provider has declared one.

What was measured with 4.0.5 and shapes this file:

* A refused frame is answered by an ERROR without receipt-id, maybe still by a receipt, and the end of the connection.
* Only a SUBSCRIBE binds, and it consumes too, which must not happen to a queue whose listener is away. So what is there
  is asked for by SUBSCRIBEs that fail: see rabbitmq_probing.
* A SUBSCRIBE to a topic or an exchange whose consumer is refused (no right to read, a queue without a leader) deletes
  the queue with all that is in it: the plugin takes it for one that it has just made. One to ``/amq/queue/`` does not.
  So queues are read there, and what binds is subscribed to only where a consumer of this connection has been accepted.
* The plugin declares a SEND's queue once per connection, and confirms what it sends into nothing afterwards. So the
  queues of delays, which delete themselves, are named after the hour, and live longer than that.
* A NACK and the end of a connection, clean or not, count a delivery on quorum queues, for all that is unsettled; after
  20 of them the message is dropped. So durable queues dead-letter into the error queue, and that one, which is read
  again and again, is a classic queue.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Callable, ClassVar, Optional

from aspyx_event.envelope import CE_ID, Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import EventError, ProviderError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Capabilities, Confirmation, Target
from aspyx_event.providers.brokers import rabbitmq as rules
from aspyx_event.providers.brokers.rabbitmq_topology import RabbitMQTopology
from aspyx_event.providers.network.young_queues import Nursery
from aspyx_event.providers.stomp import mapping
from aspyx_event.providers.stomp.dialects import rabbitmq_checking
from aspyx_event.providers.stomp.dialects import rabbitmq_probing as probing
from aspyx_event.providers.stomp.dialects.base import Dialect, Source
from aspyx_event.providers.stomp.dialects.rabbitmq_probing import OtherArguments
from aspyx_event.providers.stomp.errors import ErrorFrame, attach_error, refusal_of
from aspyx_event.providers.stomp.publisher import Outgoing
from aspyx_event.providers.stomp.session import Sessions
from aspyx_event.providers.stomp.settings import StompSettings
from aspyx_event.timing import Deadline
from aspyx_event.topology import MISSING, Difference, MissingResources, Resource, required

_BROWSE_AHEAD = 10_000
_BROWSE_PATIENCE = 1.0
_NO_POLICY = (
    f"this RabbitMQ has no policy {rules.POLICY_NAME!r}: a delayed event whose delay ends while the broker starts may "
    "be lost, as a queue passes it on without looking whether the next one takes it. Set it once: rabbitmqctl "
    f"set_policy --apply-to {rules.POLICY['apply-to']} {rules.POLICY_NAME} '{rules.POLICY['pattern']}' "
    f"'{json.dumps(rules.POLICY['definition'])}'"
)


class RabbitMQDialect(Dialect):
    """RabbitMQ 3.8 and newer over STOMP."""

    name: ClassVar[str] = "rabbitmq"
    text_bodies: ClassVar[bool] = False
    releases_by_copy: ClassVar[bool] = True

    def __init__(self, settings: StompSettings) -> None:
        super().__init__(settings)
        self._exchanges: set[str] = set()
        """Events for which an AMQP provider has declared an exchange."""
        self._foreign: set[str] = set()
        """Queues that are there with other arguments than ours."""
        self._policy_holds: Optional[bool] = None
        self._policy_lock = threading.Lock()
        self._topology = RabbitMQTopology(self._naming, self.error_queue, exchanges=False)
        self._nursery: Nursery[Outgoing] = Nursery()

    def publication(self, envelope: Envelope, event: EventDescriptor) -> Outgoing:
        headers = mapping.encode_headers(envelope.wire_headers)
        headers.update(mapping.content_headers(envelope.content_type, envelope.body, text=False))
        if envelope.id:
            headers["amqp-message-id"] = envelope.id
        if event.durable:
            headers["persistent"] = "true"
        if envelope.ttl is not None:
            headers[mapping.EXPIRES] = mapping.expiry(envelope.ttl)
        destination, waits_in = f"/topic/{event.name}", None
        if envelope.delay:
            queue = rules.delayed_event(event.name, envelope.delay, durable=event.durable)
            destination, waits_in = self._through(queue, envelope.delay, headers, event.durable)
        elif envelope.ttl is not None:
            headers["expiration"] = str(mapping.milliseconds(envelope.ttl))
        return Outgoing(destination, headers, envelope.body, envelope.id, waits_in)

    def copy(
        self, frame: Mapping[str, str], body: bytes, destination: str, headers: Mapping[str, str], *, delay: float
    ) -> Outgoing:
        plain = "::" not in destination
        persistent = plain or self.persistent(frame)
        found = mapping.encode_headers(headers)
        found.update(mapping.content_headers(mapping.content_type_of(frame), body, text=False))
        if frame.get("amqp-message-id"):
            found["amqp-message-id"] = frame["amqp-message-id"]
        if persistent:
            found["persistent"] = "true"
        expires_at = None if plain else mapping.expiry_of(frame, mapping.EXPIRES)
        if expires_at is not None:
            found[mapping.EXPIRES] = frame[mapping.EXPIRES]
        waits_in = None
        if delay > 0:
            queue = rules.delayed_copy(destination, delay, durable=persistent)
            where, waits_in = self._through(queue, delay, found, persistent)
        else:
            where = f"/amq/queue/{destination}"
            if expires_at is not None:
                found["expiration"] = str(max(1, round((expires_at - time.time()) * 1000)))
        return Outgoing(where, found, body, headers.get(CE_ID), waits_in)

    def _through(
        self, queue: rules.Queue, delay: float, headers: dict[str, str], durable: bool
    ) -> tuple[str, Optional[str]]:
        """Where a SEND goes whose headers declare the queue in which it waits, and that queue if it may be young."""
        headers["expiration"] = str(mapping.milliseconds(rules.longest_wait(delay)))
        headers.update((key, str(value)) for key, value in queue.arguments)
        return f"/queue/{self._nursery.name(queue.name)}", queue.name if durable else None

    def send(self, make: Callable[[], Outgoing], send: Callable[[Outgoing], Confirmation[None]]) -> Confirmation[None]:
        return self._nursery.send(make, send)

    def lost(self) -> None:
        self._nursery.lost()

    def close(self) -> None:
        self._nursery.close()

    def source(self, queue: str, listener: Optional[EventListenerDescriptor] = None) -> Source:  # noqa: ARG002
        return Source(f"/amq/queue/{queue}", {})

    def more_sources(self, queue: str, listener: EventListenerDescriptor) -> list[Source]:
        if not self._settings.declare or queue in self._foreign:
            return []
        event, declaring = listener.event.name, probing.declaring(self._topology.queue(listener))
        found = [Source(f"/topic/{event}", declaring)]
        if event in self._exchanges:
            found.append(Source(f"/exchange/{event}", declaring))
        return found

    def source_refused(self, queue: str, listener: EventListenerDescriptor, error: ProviderError) -> EventError:
        if not self._settings.declare and "NOT_FOUND" in (refusal_of(error) or ""):  # who may not ask learns it here
            wanted = [resource for resource in self.topology(listener) if resource.name == queue]
            return MissingResources([Difference(resource, MISSING, "create and bind it") for resource in wanted])
        return super().source_refused(queue, listener, error)

    def flow(self, amount: int) -> Mapping[str, str]:
        return {"prefetch-count": str(amount)}

    def read(self, frame: Mapping[str, str], body: bytes) -> Envelope:
        envelope = super().read(frame, body)
        envelope.expires_at = mapping.expiry_of(frame, mapping.EXPIRES)
        for name, text in rules.worn_out(frame).items():
            envelope.wire_headers.setdefault(name, text)
        return envelope

    def native_id(self, frame: Mapping[str, str]) -> str | None:
        """An AMQP message id; without one the id of the delivery, which is another one each time."""
        return frame.get("amqp-message-id") or frame.get("message-id")

    def delivery_count(self, frame: Mapping[str, str]) -> int:
        """Clean goodbyes count too, see above."""
        count = frame.get("x-delivery-count", "")
        return int(count[:9]) if count.isascii() and count.isdigit() else 0

    # -- the broker ------------------------------------------------------------------------------------------------

    def capabilities(self, sessions: Sessions, deadline: Deadline) -> Capabilities:  # noqa: ARG002
        return Capabilities()

    def topology(self, target: Target) -> list[Resource]:
        return self._topology.resources(target)

    def differences(self, sessions: Sessions, targets: Sequence[Target], deadline: Deadline) -> list[Difference]:
        return [
            difference
            for target in targets
            for difference in rabbitmq_checking.differences(sessions, self._topology, target, deadline)
        ]

    def declare(self, sessions: Sessions, target: Target, deadline: Deadline) -> list[str]:
        if not self._settings.declare:
            return required(self.differences(sessions, (target,), deadline))
        if isinstance(target, EventDescriptor):
            return []
        queue = target if isinstance(target, str) else self._naming.queue_name(target)
        try:
            if isinstance(target, str):
                return self._declare_plain(sessions, target, deadline)
            return probing.insisting(lambda: self._declare_listener(sessions, queue, target, deadline))
        except ProviderError as error:
            who = f"queue {queue!r}" if isinstance(target, str) else f"listener {target.name!r}: queue {queue!r}"
            address = queue if isinstance(target, str) else target.event.name
            raise attach_error(f"{who} cannot be declared", error, address=address, queue=queue) from error

    def _declare_plain(self, sessions: Sessions, queue: str, deadline: Deadline) -> list[str]:
        try:
            probing.declare_queue(sessions, rules.plain_queue(queue), deadline)
        except OtherArguments as error:
            self._foreign.add(queue)
            found = f"queue {queue!r} is there already with other arguments ({error.refusal})"
        else:
            return []
        why = "as a quorum queue it would drop a message that has been looked at 20 times, so it is not browsed"
        return [f"{found}: {why}; delete it, and it is created anew"]

    def _declare_listener(
        self, sessions: Sessions, queue: str, listener: EventListenerDescriptor, deadline: Deadline
    ) -> list[str]:
        event = listener.event.name
        if probing.exchange_exists(sessions, event, deadline):
            self._exchanges.add(event)
        findings = self._policy_findings(sessions, deadline) if listener.durable else []
        if not probing.queue_exists(sessions, queue, deadline):
            self._create(sessions, queue, listener, deadline)
            return findings
        try:
            probing.declare_queue(sessions, self._topology.queue(listener), deadline, f"/topic/{event}")
        except OtherArguments as error:
            self._foreign.add(queue)
            refusal = error.refusal
        else:
            return findings
        found = f"queue {queue!r} of listener {listener.name!r} is there already with other arguments ({refusal})"
        why = "it is used as it is, and whoever made it must have bound it"
        return [*findings, f"{found}: {why}; delete it once, and it is created anew"]

    def _policy_findings(self, sessions: Sessions, deadline: Deadline) -> list[str]:
        with self._policy_lock:
            if self._policy_holds is None:
                try:
                    self._policy_holds = probing.policy_holds(sessions, deadline)
                except ErrorFrame as error:
                    return [f"whether the policy {rules.POLICY_NAME!r} is set could not be checked ({error.text})"]
        return [] if self._policy_holds else [_NO_POLICY]

    def _create(self, sessions: Sessions, queue: str, listener: EventListenerDescriptor, deadline: Deadline) -> None:
        """Declare and bind. It is empty yet, so nothing is consumed."""
        probing.declare_queue(sessions, self._topology.queue(listener), deadline, f"/topic/{listener.event.name}")
        with sessions.session(deadline) as session:
            for source in (self.source(queue), *self.more_sources(queue, listener)):
                session.subscribe(source.destination, {**source.headers, **self.flow(1)}, name=source.destination)

    # -- the error queue -------------------------------------------------------------------------------------------

    def browse(self, sessions: Sessions, queue: str, deadline: Deadline) -> list[Envelope]:
        """Takes everything and gives it back, in order: meanwhile nobody else sees it."""
        if queue in self._foreign:
            raise ProviderError(f"queue {queue!r} is no classic queue: looking at its messages would wear them out")
        envelopes: list[Envelope] = []
        with sessions.session(deadline) as session:
            session.subscribe(f"/amq/queue/{queue}", dict(self.flow(_BROWSE_AHEAD)))
            message = session.next(_BROWSE_PATIENCE)
            while message is not None:
                envelopes.append(self.read(*message))
                message = session.next(_BROWSE_PATIENCE)
        return envelopes

    def take_selector(self, event_id: str) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def holds(self, sessions: Sessions, queue: str, event_id: str, deadline: Deadline) -> Optional[bool]:  # noqa: ARG002
        return None
