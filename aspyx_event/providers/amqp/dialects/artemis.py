"""Apache ActiveMQ Artemis: an address for each event, a MULTICAST queue below it for each listener."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from aspyx_event.envelope import CE_ID
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import ConfigurationError, EventError, ProviderError, SendRejected
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Capabilities
from aspyx_event.providers.amqp.channel import Channel, RequestRefused
from aspyx_event.providers.amqp.dialects.artemis_management import Management, QueueState, queue_options
from aspyx_event.providers.amqp.dialects.base import Declarable, Dialect
from aspyx_event.providers.amqp.errors import NOT_FOUND, attach_error
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome, State
from aspyx_event.providers.amqp.receiving import Refused
from aspyx_event.providers.naming import split_queue_name
from aspyx_event.timing import Deadline

CRASH_LIMIT = 8
_DEFAULT_MAX_DELIVERY_ATTEMPTS = 10
_TOPIC, _QUEUE = ("topic",), ("queue",)
# How a message-id looks to a selector (measured): as it is, or prefixed. A binary one cannot be selected.
_MESSAGE_IDS = ("", "ID:", "ID:AMQP_NO_PREFIX:", "ID:AMQP_UUID:", "ID:AMQP_ULONG:")
_BINARY_ID = re.compile(r"([0-9a-f]{2})+")
_FOREIGN = "does not exist for address"


class ArtemisDialect(Dialect):
    """Artemis over AMQP 1.0."""

    name: ClassVar[str] = "artemis"
    capabilities: ClassVar[Capabilities] = Capabilities()

    def event_target(self, event: str) -> Node:
        return Node(event, _TOPIC)  # without a capability Artemis guesses what kind of address it is

    def queue_target(self, queue: str) -> Node:
        return Node(queue, _TOPIC if "::" in queue else _QUEUE)

    def source(self, queue: str) -> Node:
        return Node(queue, _TOPIC if "::" in queue else _QUEUE)

    def browse_source(self, queue: str) -> Node:
        return Node(queue, _TOPIC if "::" in queue else _QUEUE, copy=True)

    def take_source(self, queue: str, event_id: str) -> Node | None:
        quoted = event_id.replace("'", "''")
        native = ", ".join(f"'{form}{quoted}'" for form in _MESSAGE_IDS)
        selector = f"{CE_ID} = '{quoted}' OR ({CE_ID} IS NULL AND JMSMessageID IN ({native}))"
        return Node(queue, _TOPIC if "::" in queue else _QUEUE, selector=selector)

    def must_scan(self, event_id: str) -> bool:
        return _BINARY_ID.fullmatch(event_id) is not None

    def judge(self, node: Node, outcome: Outcome) -> ProviderError | None:
        if outcome.state is State.ACCEPTED:
            return None
        reason = outcome.condition or f"the broker answered {outcome.state.value!r}"
        return SendRejected(f"{node}: the broker refused the message: {reason}")

    def source_refused(self, queue: str, condition: Condition | None, *, listener: str | None) -> EventError:
        address, name = split_queue_name(queue)
        who = f"listener {listener!r}: " if listener else ""
        if condition is not None and condition.name == NOT_FOUND and _FOREIGN in condition.description:
            return ConfigurationError(
                f"{who}queue {name!r} does not sit on the address {address!r} but on another one: names of queues are "
                "unique on a broker, so give the listener another name, or the provider a prefix"
            )
        return attach_error(f"{who}queue {queue!r} cannot be read", condition, address=address or name, queue=queue)

    # -- declaring -------------------------------------------------------------------------------------------------

    def declare(self, channel: Channel, target: Declarable, deadline: Deadline) -> list[str]:
        if not self._settings.declare:
            return []
        if channel.may_manage:
            management = Management(channel, deadline)
            try:
                return self._declare_managed(management, target)
            except RequestRefused:
                channel.may_manage = False
        return self._declare_by_attaching(channel, target, deadline)

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
            management.create_queue(queue_options(name, name, "ANYCAST", durable=True))
        elif found.address != name:
            raise ConfigurationError(
                f"the queue {name!r} sits on the address {found.address!r}, where a listener of that name reads: "
                "choose another error_queue, or give the provider a prefix"
            )
        return []

    def _declare_listener(self, management: Management, listener: EventListenerDescriptor) -> list[str]:
        address, name = split_queue_name(self._settings.naming.queue_name(listener))
        found = management.queue(name)
        if found is not None and found.address != address:
            raise ConfigurationError(
                f"listener {listener.name!r}: its queue {name!r} belongs on the address {address!r}, but a queue of "
                f"that name sits on {found.address!r}: names of queues are unique on a broker, so give the listener "
                "another name, or the provider a prefix"
            )
        if found is None:
            management.create_queue(_options_for(listener, address, name))
            return self._address_findings(management, address, durable=listener.durable)
        return [
            *_queue_findings(listener, found),
            *self._address_findings(management, address, durable=listener.durable),
        ]

    def _address_findings(self, management: Management, address: str, *, durable: bool) -> list[str]:
        settings = management.address_settings(address)
        if settings is None:
            return [f"the settings of address {address!r} could not be read"]
        return _settings_findings(address, settings) if durable else []

    def _declare_by_attaching(self, channel: Channel, target: Declarable, deadline: Deadline) -> list[str]:
        try:
            if isinstance(target, EventListenerDescriptor):
                channel.try_source(self.source(self._settings.naming.queue_name(target)), deadline)
            elif isinstance(target, EventDescriptor):
                channel.try_target(self.event_target(target.name), deadline)
            else:
                channel.try_target(self.queue_target(target), deadline)
        except Refused as error:
            raise self._attaching_refused(target, error.condition) from error
        if not isinstance(target, EventListenerDescriptor):
            return []
        return [_cannot_manage(target, self._settings.naming.queue_name(target))]

    def _attaching_refused(self, target: Declarable, condition: Condition | None) -> EventError:
        if isinstance(target, EventListenerDescriptor):
            return self.source_refused(self._settings.naming.queue_name(target), condition, listener=target.name)
        return attach_error(f"{str(target)!r} cannot be created", condition, address=str(target), queue=None)


def _options_for(listener: EventListenerDescriptor, address: str, name: str) -> dict[str, Any]:
    if listener.durable:
        return queue_options(name, address, "MULTICAST", durable=True)
    lifetime = 3600 if listener.per_process else 60
    return queue_options(name, address, "MULTICAST", durable=listener.event.durable, lifetime=lifetime)


def _cannot_manage(listener: EventListenerDescriptor, queue: str) -> str:
    text = (
        f"queue {queue!r}: this user may not use the broker's management ('manage' on activemq.management), so the "
        "settings of its address could not be checked, and it is created by attaching"
    )
    if listener.durable:
        return text
    return f"{text}: durable, and the broker does not remove it when it is not needed any more"


def _queue_findings(listener: EventListenerDescriptor, found: QueueState) -> list[str]:
    who = f"queue {found.name!r} of listener {listener.name!r} is there already"
    findings = []
    if listener.durable and not found.durable:
        findings.append(f"{who} and not durable, although its event is: delete it once, and it is created anew")
    if listener.durable and found.auto_delete:
        findings.append(
            f"{who} and auto-delete: the broker removes it while the listener is away, and drops events "
            "(auto-delete-queues is true); set that to false, and delete the queue once"
        )
    if not listener.event.durable and found.durable:
        findings.append(
            f"{who} and durable, although its event is not: it goes on collecting events while the listener is away; "
            "delete it once, and it is created anew"
        )
    if listener.per_process and found.consumers:
        findings.append(
            f"{who} and has a consumer: another process uses the same server_name, and each of them gets only a part "
            "of the events"
        )
    return findings


def _settings_findings(address: str, settings: dict[str, Any]) -> list[str]:
    findings = []
    attempts = settings.get("maxDeliveryAttempts", _DEFAULT_MAX_DELIVERY_ATTEMPTS)
    if 0 < attempts <= CRASH_LIMIT:
        findings.append(
            f"address {address!r}: max-delivery-attempts is {attempts}: the broker takes an event away after so many "
            f"crashes of its listener, before it gets to the error queue (crash limit {CRASH_LIMIT}); set it to 10"
        )
    if not settings.get("deadLetterAddress"):
        findings.append(
            f"address {address!r}: no dead-letter-address is set: the broker drops an event that reaches "
            "max-delivery-attempts"
        )
    return findings
