"""Apache ActiveMQ Artemis: an address for each event, a MULTICAST queue below it for each listener."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Optional

from aspyx_event.envelope import Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import ProviderError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Capabilities, Target
from aspyx_event.providers.brokers.artemis import ANYCAST, MULTICAST, UNCHECKED, cannot_manage
from aspyx_event.providers.brokers.artemis_declaring import ArtemisTopology
from aspyx_event.providers.stomp import mapping
from aspyx_event.providers.stomp.dialects.artemis_management import ManagementRefused, managed
from aspyx_event.providers.stomp.dialects.base import Dialect, Source
from aspyx_event.providers.stomp.publisher import Outgoing
from aspyx_event.providers.stomp.session import Sessions
from aspyx_event.providers.stomp.settings import StompSettings
from aspyx_event.timing import Deadline
from aspyx_event.topology import Difference, Resource

_BROWSE_PATIENCE, _QUIET = 5.0, 2.0
"""Seconds to wait for a message that the broker counts, and for one where the count is not known."""


class ArtemisDialect(Dialect):
    """Artemis over STOMP.

    NACK is an ACK here: the message is gone. What is given back goes by the end of its subscription, which the broker
    does not count as a delivery. It tells no count either, so crashes are not seen.
    """

    name: ClassVar[str] = "artemis"
    by_bytes: ClassVar[bool] = True
    silence = 60.0

    _may_manage = True

    def __init__(self, settings: StompSettings) -> None:
        super().__init__(settings)
        self._topology = ArtemisTopology(self._naming, counted=False)

    def publication(self, envelope: Envelope, event: EventDescriptor) -> Outgoing:
        headers = mapping.encode_headers(envelope.wire_headers)
        headers["destination-type"] = MULTICAST
        if event.durable:
            headers["persistent"] = "true"
        if envelope.ttl is not None:
            headers["expires"] = mapping.expiry(envelope.ttl)
        if envelope.delay:
            headers["AMQ_SCHEDULED_DELAY"] = str(mapping.milliseconds(envelope.delay))
        headers.update(mapping.content_headers(envelope.content_type, envelope.body, text=True))
        return Outgoing(event.name, headers, envelope.body, envelope.id)

    def copy(
        self, frame: Mapping[str, str], body: bytes, destination: str, headers: Mapping[str, str], *, delay: float
    ) -> Outgoing:
        plain = "::" not in destination
        found = mapping.encode_headers(headers)
        found["destination-type"] = ANYCAST if plain else MULTICAST
        if plain or self.persistent(frame):
            found["persistent"] = "true"
        if not plain and mapping.expiry_of(frame, "expires"):
            found["expires"] = frame["expires"]
        if delay > 0:
            found["AMQ_SCHEDULED_DELAY"] = str(mapping.milliseconds(delay))
        found.update(mapping.content_headers(mapping.content_type_of(frame), body, text=True))
        return Outgoing(destination, found, body, headers.get("cloudEvents_id"))

    def source(self, queue: str, listener: Optional[EventListenerDescriptor] = None) -> Source:  # noqa: ARG002
        return Source(queue, {"subscription-type": MULTICAST if "::" in queue else ANYCAST})

    def unsubscribes(self, listener: EventListenerDescriptor) -> bool:
        """Measured: an UNSUBSCRIBE of the last consumer deletes a queue that is not durable, with its messages."""
        return listener.event.durable

    def flow(self, amount: int) -> Mapping[str, str]:
        return {"consumer-window-size": str(amount)}

    def native_id(self, frame: Mapping[str, str]) -> str | None:
        """An AMQP sender's id; else the second half of the message id, as the first is that of the consumer."""
        return frame.get("NATIVE_MESSAGE_ID") or frame.get("message-id", "").rpartition(",")[2] or None

    def ack_id(self, frame: Mapping[str, str]) -> str:
        """The message id. The broker's own ``ack`` says the same, but stands behind a sender's header of that name."""
        return frame.get("message-id", "")

    # -- the broker ------------------------------------------------------------------------------------------------

    def capabilities(self, sessions: Sessions, deadline: Deadline) -> Capabilities:  # noqa: ARG002
        return Capabilities(delivery_count=False)

    def topology(self, target: Target) -> list[Resource]:
        return self._topology.resources(target)

    def declare(self, sessions: Sessions, target: Target, deadline: Deadline) -> list[str]:
        work = self._topology.declare if self._settings.declare else self._topology.require
        if self._may_manage:
            try:
                return managed(sessions, deadline, lambda management: work(management, target))
            except ManagementRefused:
                self._may_manage = False
        return self._declare_by_attaching(sessions, target, deadline) if self._settings.declare else [UNCHECKED]

    def differences(self, sessions: Sessions, targets: Sequence[Target], deadline: Deadline) -> list[Difference]:
        try:
            return managed(
                sessions,
                deadline,
                lambda management: [found for target in targets for found in self._topology.check(management, target)],
            )
        except ManagementRefused as error:
            return self._topology.unknown(targets, error)

    def _declare_by_attaching(self, sessions: Sessions, target: Target, deadline: Deadline) -> list[str]:
        if not isinstance(target, EventListenerDescriptor):
            return []  # sending creates it, as far as the user may
        queue = self._naming.queue_name(target)
        source = self.source(queue)
        try:
            with sessions.session(deadline) as session:
                session.subscribe(source.destination, {**source.headers, **self.flow(1)})
        except ProviderError as error:
            raise self.source_refused(queue, target, error) from error
        return [cannot_manage(target, self._naming)]

    # -- the error queue -------------------------------------------------------------------------------------------

    def browse(self, sessions: Sessions, queue: str, deadline: Deadline) -> list[Envelope]:
        expected = self._count(sessions, queue, None, deadline)
        envelopes: list[Envelope] = []
        with sessions.session(deadline) as session:
            # Never ack what a browser got, nor let the broker do so (ack: auto): the message would be gone. Without
            # acks only an unlimited window shows everything.
            headers = {"subscription-type": ANYCAST, "browser": "true", "consumer-window-size": "-1"}
            session.subscribe(queue, headers, ack="client-individual")
            # The end of a browser is not announced: it is there after so many messages, or some quiet seconds.
            while expected is None or len(envelopes) < expected:
                message = session.next(_QUIET if expected is None else _BROWSE_PATIENCE)
                if message is None:
                    break
                envelopes.append(self.read(*message))
        return envelopes

    def holds(self, sessions: Sessions, queue: str, event_id: str, deadline: Deadline) -> Optional[bool]:
        count = self._count(sessions, queue, self.take_selector(event_id)["selector"], deadline)
        return None if count is None else count > 0

    def _count(self, sessions: Sessions, queue: str, selector: str | None, deadline: Deadline) -> int | None:
        if not self._may_manage:
            return None
        try:
            return managed(sessions, deadline, lambda management: management.count(queue, selector))
        except ManagementRefused:
            self._may_manage = False
        return None
