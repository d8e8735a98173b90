"""Apache ActiveMQ Artemis: an address for each event, a MULTICAST queue below it for each listener."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Optional

from aspyx_event.envelope import Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import ConfigurationError, ProviderError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Capabilities
from aspyx_event.providers.naming import split_queue_name
from aspyx_event.providers.stomp import mapping
from aspyx_event.providers.stomp.dialects.artemis_management import (
    Management,
    ManagementRefused,
    QueueState,
    queue_options,
)
from aspyx_event.providers.stomp.dialects.base import Declarable, Dialect, Source
from aspyx_event.providers.stomp.errors import attach_error
from aspyx_event.providers.stomp.publisher import Outgoing
from aspyx_event.providers.stomp.session import Sessions
from aspyx_event.timing import Deadline

_MULTICAST, _ANYCAST = "MULTICAST", "ANYCAST"
_DEFAULT_MAX_DELIVERY_ATTEMPTS = 10
_BROWSE_PATIENCE = 2.0


class ArtemisDialect(Dialect):
    """Artemis over STOMP.

    NACK is an ACK here: the message is gone. What is given back goes by the end of its subscription, which the broker
    does not count as a delivery. It tells no count either, so crashes are not seen.
    """

    name: ClassVar[str] = "artemis"
    by_bytes: ClassVar[bool] = True

    _may_manage = True

    def publication(self, envelope: Envelope, event: EventDescriptor) -> Outgoing:
        headers = mapping.encode_headers(envelope.wire_headers)
        headers["destination-type"] = _MULTICAST
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
        found["destination-type"] = _ANYCAST if plain else _MULTICAST
        if plain or self.persistent(frame):
            found["persistent"] = "true"
        if not plain and mapping.expiry_of(frame, "expires"):
            found["expires"] = frame["expires"]
        if delay > 0:
            found["AMQ_SCHEDULED_DELAY"] = str(mapping.milliseconds(delay))
        found.update(mapping.content_headers(mapping.content_type_of(frame), body, text=True))
        return Outgoing(destination, found, body, headers.get("cloudEvents_id"))

    def source(self, queue: str, listener: Optional[EventListenerDescriptor] = None) -> Source:  # noqa: ARG002
        return Source(queue, {"subscription-type": _MULTICAST if "::" in queue else _ANYCAST})

    def flow(self, amount: int) -> Mapping[str, str]:
        return {"consumer-window-size": str(amount)}

    def native_id(self, frame: Mapping[str, str]) -> str | None:
        """An AMQP sender's id; else the second half of the message id, as the first is that of the consumer."""
        return frame.get("NATIVE_MESSAGE_ID") or frame.get("message-id", "").rpartition(",")[2] or None

    # -- the broker ------------------------------------------------------------------------------------------------

    def capabilities(self, sessions: Sessions, deadline: Deadline) -> Capabilities:  # noqa: ARG002
        return Capabilities(delivery_count=False)

    def declare(self, sessions: Sessions, target: Declarable, deadline: Deadline) -> list[str]:
        if not self._settings.declare:
            return []
        if self._may_manage:
            try:
                with sessions.session(deadline) as session:
                    return self._declare_managed(Management(session), target)
            except ManagementRefused:
                self._may_manage = False
        return self._declare_by_attaching(sessions, target, deadline)

    def _declare_managed(self, management: Management, target: Declarable) -> list[str]:
        if isinstance(target, EventDescriptor):
            management.create_address(target.name)
            return self._address_findings(management, target.name, durable=target.durable)
        if isinstance(target, str):
            return self._declare_plain(management, target)
        return self._declare_listener(management, target)

    def _declare_plain(self, management: Management, name: str) -> list[str]:
        found = management.queue(name)
        if found is None:
            management.create_queue(queue_options(name, name, _ANYCAST, durable=True))
        elif found.address != name:
            raise ConfigurationError(
                f"the queue {name!r} sits on the address {found.address!r}, where a listener of that name reads: "
                "choose another error_queue, or give the provider a prefix"
            )
        return []

    def _declare_listener(self, management: Management, listener: EventListenerDescriptor) -> list[str]:
        address, name = split_queue_name(self._naming.queue_name(listener))
        found = management.queue(name)
        if found is not None and found.address != address:
            # The broker would take the subscription, and hand over the other listener's events.
            raise ConfigurationError(
                f"listener {listener.name!r}: its queue {name!r} must sit on the address {address!r}, but on this "
                f"broker a queue of that name sits on {found.address!r}: names of queues are unique on a broker, so "
                "give the listener another name, or the provider a prefix"
            )
        findings = self._address_findings(management, address, durable=listener.durable)
        if found is None:
            management.create_queue(_options_for(listener, address, name))
            return findings
        return [*_queue_findings(listener, found), *findings]

    def _address_findings(self, management: Management, address: str, *, durable: bool) -> list[str]:
        settings = management.address_settings(address)
        if settings is None:
            return [f"the settings of address {address!r} could not be read"]
        return _settings_findings(address, settings) if durable else []

    def _declare_by_attaching(self, sessions: Sessions, target: Declarable, deadline: Deadline) -> list[str]:
        if not isinstance(target, EventListenerDescriptor):
            return []  # sending creates it, as far as the user may
        queue = self._naming.queue_name(target)
        source = self.source(queue)
        try:
            with sessions.session(deadline) as session:
                session.subscribe(source.destination, {**source.headers, **self.flow(1)})
        except ProviderError as error:
            raise attach_error(
                f"listener {target.name!r}: queue {queue!r} cannot be read",
                error,
                address=target.event.name,
                queue=queue,
            ) from error
        return [_cannot_manage(target, queue)]

    # -- the error queue -------------------------------------------------------------------------------------------

    def browse(self, sessions: Sessions, queue: str, deadline: Deadline) -> list[Envelope]:
        expected = self._count(sessions, queue, None, deadline)
        envelopes: list[Envelope] = []
        with sessions.session(deadline) as session:
            # Never ack what a browser got, nor let the broker do so (ack: auto): the message would be gone. Without
            # acks only an unlimited window shows everything.
            headers = {"subscription-type": _ANYCAST, "browser": "true", "consumer-window-size": "-1"}
            session.subscribe(queue, headers, ack="client-individual")
            # The end of a browser is not announced: it is there after so many messages, or some quiet seconds.
            while expected is None or len(envelopes) < expected:
                message = session.next(_BROWSE_PATIENCE)
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
            with sessions.session(deadline) as session:
                return Management(session).count(queue, selector)
        except ManagementRefused:
            self._may_manage = False
        return None


def _options_for(listener: EventListenerDescriptor, address: str, name: str) -> dict[str, Any]:
    if listener.durable:
        return queue_options(name, address, _MULTICAST, durable=True)
    lifetime = 3600 if listener.per_process else 60
    return queue_options(name, address, _MULTICAST, durable=listener.event.durable, lifetime=lifetime)


def _cannot_manage(listener: EventListenerDescriptor, queue: str) -> str:
    text = (
        f"queue {queue!r}: this user may not use the broker's management ('manage' on activemq.management), so neither "
        "its address nor the settings there could be checked"
    )
    if listener.durable:
        return f"{text}, and it is created by attaching"
    return (
        f"{text}, and it is created by attaching: durable, and the broker does not remove it when it is not needed any "
        "more"
    )


def _queue_findings(listener: EventListenerDescriptor, found: QueueState) -> list[str]:
    queue = f"queue {found.name!r} of listener {listener.name!r} is there already and"
    findings = []
    if listener.durable and not found.durable:
        findings.append(f"{queue} not durable, although its event is: delete it once, and it is created anew")
    if listener.durable and found.auto_delete:
        findings.append(
            f"{queue} auto-delete: the broker removes it, and drops the events, when the listener is away "
            "(auto-delete-queues is true); set it to false, and delete the queue once"
        )
    if not listener.event.durable and found.durable:
        findings.append(
            f"{queue} durable, although its event is not: it goes on collecting events while the listener is away; "
            "delete it once, and it is created anew"
        )
    if listener.per_process and found.consumers:
        findings.append(
            f"queue {found.name!r} of the per_process listener {listener.name!r} has a consumer already: another "
            "process uses the same server_name, and each of them gets only a part of the events"
        )
    return findings


def _settings_findings(address: str, settings: dict[str, Any]) -> list[str]:
    findings = []
    attempts = settings.get("maxDeliveryAttempts", _DEFAULT_MAX_DELIVERY_ATTEMPTS)
    if 0 < attempts < _DEFAULT_MAX_DELIVERY_ATTEMPTS:
        findings.append(
            f"address {address!r}: max-delivery-attempts is {attempts}: the broker takes an event away after so many "
            "crashes of its listener, before it gets to the error queue; over STOMP we cannot count them, so set it "
            "to 10 or more"
        )
    if not settings.get("deadLetterAddress"):
        findings.append(
            f"address {address!r}: no dead-letter-address is set: the broker drops an event that reaches "
            "max-delivery-attempts"
        )
    return findings
