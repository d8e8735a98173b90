"""Apache ActiveMQ Artemis: an address for each event, a MULTICAST queue below it for each listener."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import ClassVar

from aspyx_event.envelope import CE_ID
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import ConfigurationError, EventError, ProviderError, SendRejected
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Capabilities, Target
from aspyx_event.providers.amqp.channel import Channel, RequestRefused
from aspyx_event.providers.amqp.dialects.artemis_management import Management
from aspyx_event.providers.amqp.dialects.base import Dialect
from aspyx_event.providers.amqp.errors import NOT_FOUND, attach_error
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome, State
from aspyx_event.providers.amqp.receiving import Refused
from aspyx_event.providers.amqp.settings import AMQPSettings
from aspyx_event.providers.brokers.artemis import UNCHECKED, cannot_manage
from aspyx_event.providers.brokers.artemis_declaring import ArtemisTopology
from aspyx_event.providers.naming import split_queue_name
from aspyx_event.timing import Deadline
from aspyx_event.topology import Difference, Resource

_TOPIC, _QUEUE = ("topic",), ("queue",)
# How a message-id looks to a selector (measured): as it is, or prefixed. A binary one cannot be selected.
_MESSAGE_IDS = ("", "ID:", "ID:AMQP_NO_PREFIX:", "ID:AMQP_UUID:", "ID:AMQP_ULONG:")
_BINARY_ID = re.compile(r"([0-9a-f]{2})+")
_FOREIGN = "does not exist for address"


class ArtemisDialect(Dialect):
    """Artemis over AMQP 1.0."""

    name: ClassVar[str] = "artemis"
    capabilities: ClassVar[Capabilities] = Capabilities()

    def __init__(self, settings: AMQPSettings) -> None:
        super().__init__(settings)
        self._topology = ArtemisTopology(settings.naming, counted=True)

    def event_target(self, event: str) -> Node:
        return _event_target(event)

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

    def topology(self, target: Target) -> list[Resource]:
        return self._topology.resources(target)

    def declare(self, channel: Channel, target: Target, deadline: Deadline) -> list[str]:
        work = self._topology.declare if self._settings.declare else self._topology.require
        if channel.may_manage:
            try:
                return work(Management(channel, deadline), target)
            except RequestRefused:
                channel.may_manage = False
        return self._declare_by_attaching(channel, target, deadline) if self._settings.declare else [UNCHECKED]

    def differences(self, channel: Channel, targets: Sequence[Target], deadline: Deadline) -> list[Difference]:
        management = Management(channel, deadline)
        try:
            return [difference for target in targets for difference in self._topology.check(management, target)]
        except RequestRefused as error:
            return self._topology.unknown(targets, error)

    def _declare_by_attaching(self, channel: Channel, target: Target, deadline: Deadline) -> list[str]:
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
        return [cannot_manage(target, self._settings.naming)]

    def _attaching_refused(self, target: Target, condition: Condition | None) -> EventError:
        if isinstance(target, EventListenerDescriptor):
            return self.source_refused(self._settings.naming.queue_name(target), condition, listener=target.name)
        return attach_error(f"{str(target)!r} cannot be created", condition, address=str(target), queue=None)


@functools.lru_cache(maxsize=1024)
def _event_target(event: str) -> Node:
    return Node(event, _TOPIC)  # without a capability Artemis guesses what kind of address it is
