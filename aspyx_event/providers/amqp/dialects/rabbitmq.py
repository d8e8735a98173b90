"""RabbitMQ 4 over AMQP 1.0: an exchange for each event, a queue of its own for each listener.

Names and arguments are in ``providers/brokers/rabbitmq.py``, because STOMP uses the same queues. What was measured with
4.0.5 and shapes this file:

* A refused link ends its session.
* What is sent to no queue at all comes back as released. For an event that means that nobody listens; for a copy, that
  its queue is gone.
* Every delivery that comes back counts on a quorum queue, released ones too (``x-delivery-count``); at the 21st the
  broker takes the message away, into the error queue. The header's ``delivery-count`` counts failures only: a
  connection that ended, and ``modified`` with delivery-failed.
* There are no delays, no browsing and no selectors.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Callable, ClassVar, Optional, Union

from aspyx_event.envelope import CE_ID, Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import AttachRefused, ConfigurationError, EventError, ProviderError, SendRejected
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Capabilities, Confirmation, Target
from aspyx_event.providers.amqp import mapping
from aspyx_event.providers.amqp.channel import Channel
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.dialects import rabbitmq_checking
from aspyx_event.providers.amqp.dialects import rabbitmq_management as management
from aspyx_event.providers.amqp.dialects.base import Dialect
from aspyx_event.providers.amqp.dialects.rabbitmq_management import CONFLICT, FORBIDDEN, Answer, Management, encoded
from aspyx_event.providers.amqp.errors import attach_error
from aspyx_event.providers.amqp.nodes import Condition, Need, Node, Outcome, Request, State
from aspyx_event.providers.amqp.sending import Message, Prepare
from aspyx_event.providers.amqp.settings import AMQPSettings
from aspyx_event.providers.brokers import rabbitmq as rules
from aspyx_event.providers.brokers.rabbitmq_topology import RabbitMQTopology
from aspyx_event.providers.network.young_queues import Nursery
from aspyx_event.timing import Deadline
from aspyx_event.topology import Difference, Resource, required

_EXCHANGES, _QUEUES = "/exchanges/", "/queues/"
_QUORUM = "quorum"
_RESERVED = "amq."


class RabbitMQDialect(Dialect):
    """RabbitMQ 4 and newer over AMQP 1.0."""

    name: ClassVar[str] = "rabbitmq"
    capabilities: ClassVar[Capabilities] = Capabilities()
    own_sessions: ClassVar[bool] = True
    browsing_takes: ClassVar[bool] = True
    returns_to_head: ClassVar[bool] = False
    acquisitions: ClassVar[Optional[int]] = 10

    def __init__(self, settings: AMQPSettings) -> None:
        super().__init__(settings)
        self._lock = threading.Lock()
        self._management: Optional[Management] = None
        self._worn: set[str] = set()
        """Plain queues whose messages may not be looked at again and again."""
        error_queue = settings.error_queue or settings.naming.error_queue
        self._topology = RabbitMQTopology(settings.naming, error_queue, exchanges=True)
        self._nursery: Nursery[Message] = Nursery()

    # -- messages --------------------------------------------------------------------------------------------------

    def publication(self, envelope: Envelope, event: EventDescriptor) -> Message:
        data = mapping.encode(envelope, subject=event.name, durable=event.durable, rabbitmq=True)
        node, waits_in = self.event_target(event.name), None
        if envelope.delay:
            queue = rules.delayed_event(event.name, envelope.delay, durable=event.durable, confirming=True)
            node, waits_in = self._waiting(queue, event.durable)
        return Message(node, data, envelope.id, waits_in)

    def copy(self, data: bytes, destination: str, headers: Mapping[str, str], *, delay: float) -> Message:
        plain = "::" not in destination
        kept = True if plain else None
        copy = mapping.copy(data, headers, durable=kept, keep_expiry=not plain, delay=delay, rabbitmq=True)
        node, waits_in = self.queue_target(destination), None
        if delay > 0:
            durable = plain or mapping.persistent(data)
            queue = rules.delayed_copy(destination, delay, durable=durable, confirming=True)
            node, waits_in = self._waiting(queue, durable)
        return Message(node, copy, headers.get(CE_ID), waits_in)

    def _waiting(self, queue: rules.Queue, durable: bool) -> tuple[Node, Optional[str]]:
        """The queue for a delay, which is declared before something is sent there, and its name if it may be young."""
        called = replace(queue, name=self._nursery.name(queue.name))
        need = Need((management.put_queue(called),), required=True)
        return Node(f"{_QUEUES}{encoded(called.name)}", need=need), queue.name if durable else None

    def send(self, make: Callable[[], Message], send: Callable[[Message], Confirmation[None]]) -> Confirmation[None]:
        return self._nursery.send(make, send)

    def lost(self) -> None:
        self._nursery.lost()

    def close(self) -> None:
        self._nursery.close()

    # -- addresses -------------------------------------------------------------------------------------------------

    def event_target(self, event: str) -> Node:
        return _event_target(event, self._settings.declare)

    def queue_target(self, queue: str) -> Node:
        need = None
        if self._settings.declare and "::" not in queue:
            need = Need((management.put_queue(rules.plain_queue(queue)),), required=False)
        return Node(f"{_QUEUES}{encoded(queue)}", need=need)

    def source(self, queue: str) -> Node:
        return Node(f"{_QUEUES}{encoded(queue)}")

    def browse_source(self, queue: str) -> Node:
        if queue in self._worn:
            raise ProviderError(
                f"queue {queue!r} is a quorum queue: it would drop a message that was looked at 20 times, so it is "
                "not browsed; delete it, and it is created anew"
            )
        return self.source(queue)

    def judge(self, node: Node, outcome: Outcome) -> ProviderError | None:
        if outcome.state is State.ACCEPTED:
            return None
        address = node.address or ""
        if outcome.state is State.RELEASED:
            if address.startswith(_EXCHANGES):
                return None  # no listener anywhere
            return SendRejected(f"{node}: there is no such queue any more; it is declared when its listener starts")
        reason = outcome.condition or f"{outcome.state.value}: a queue is full, or cannot be reached"
        return SendRejected(f"{node}: the broker refused the message: {reason}")

    def source_refused(self, queue: str, condition: Condition | None, *, listener: str | None) -> EventError:
        who = f"listener {listener!r}: " if listener else ""
        address = queue.partition("::")[0]
        return attach_error(f"{who}queue {queue!r} cannot be read", condition, address=address, queue=queue)

    # -- declaring -------------------------------------------------------------------------------------------------

    def prepare(self, connection: Connection) -> Optional[Prepare]:
        found = self._management_of(connection)

        def prepare(node: Node, done: Callable[[Optional[ProviderError]], None]) -> None:
            assert node.need is not None
            _Preparation(found, node, node.need, done).next()

        return prepare

    def _management_of(self, connection: Connection) -> Management:
        with self._lock:
            if self._management is None or self._management.connection is not connection:
                self._management = Management(connection)
            return self._management

    def topology(self, target: Target) -> list[Resource]:
        return self._topology.resources(target)

    def differences(self, channel: Channel, targets: Sequence[Target], deadline: Deadline) -> list[Difference]:
        ask = self._asking(channel, deadline)
        return [
            difference
            for target in targets
            for difference in rabbitmq_checking.differences(channel, ask, self._topology, target, deadline)
        ]

    def _asking(self, channel: Channel, deadline: Deadline) -> Callable[[Request], Answer]:
        found = self._management_of(channel.connection)
        return lambda request: found.call(request, deadline)

    def declare(self, channel: Channel, target: Target, deadline: Deadline) -> list[str]:
        if not self._settings.declare:
            return required(self.differences(channel, (target,), deadline))
        ask = self._asking(channel, deadline)
        if isinstance(target, EventDescriptor):
            return self._declare_event(ask, target.name)
        if isinstance(target, str):
            return self._declare_plain(ask, target)
        return [*self._declare_event(ask, target.event.name), *self._declare_listener(ask, target)]

    def _declare_event(self, ask: Callable[[Request], Answer], event: str) -> list[str]:
        if event.startswith(_RESERVED):
            raise ConfigurationError(
                f"event {event!r}: RabbitMQ keeps names that begin with {_RESERVED!r} to itself; give it another name"
            )
        exchange, *bindings = _for_event(event)
        answer = ask(exchange)
        findings = []
        if answer.status == CONFLICT:
            findings.append(
                f"exchange {event!r} is there already with other options ({answer.value}): it is used as it is; delete "
                "it once, and it is created anew"
            )
        else:
            _check(answer, f"exchange {event!r} cannot be declared", event, None)
        for binding in bindings:
            _check(ask(binding), f"exchange {event!r} cannot be bound to {rules.TOPIC_EXCHANGE}", event, None)
        return findings

    def _declare_plain(self, ask: Callable[[Request], Answer], queue: str) -> list[str]:
        answer = ask(management.put_queue(rules.plain_queue(queue)))
        self._worn.discard(queue)
        if answer.status != CONFLICT:
            _check(answer, f"queue {queue!r} cannot be declared", queue, queue)
            return []
        text = f"queue {queue!r} is there already with other arguments ({answer.value})"
        if _kind(ask(management.get_queue(queue))) == _QUORUM:
            self._worn.add(queue)
            text = f"{text}: as a quorum queue it would drop a message that has been looked at 20 times, so it is not "
            return [f"{text}browsed; delete it, and it is created anew"]
        return [f"{text}: it is used as it is; delete it once, and it is created anew"]

    def _declare_listener(self, ask: Callable[[Request], Answer], listener: EventListenerDescriptor) -> list[str]:
        wanted = self._topology.queue(listener)
        event, queue = listener.event.name, wanted.name
        who = f"queue {queue!r} of listener {listener.name!r}"
        answer = ask(management.put_queue(wanted))
        findings = []
        if answer.status == CONFLICT:
            findings.append(
                f"{who} is there already with other arguments ({answer.value}): it is used as it is; delete it once, "
                "and it is created anew"
            )
            answer = ask(management.get_queue(queue))
        _check(answer, f"{who} cannot be declared", event, queue)
        if listener.per_process and _consumers(answer):
            findings.append(
                f"{who} is there already and has a consumer: another process uses the same server_name, and each of "
                "them gets only a part of the events"
            )
        binding = management.post_binding(rules.queue_binding(event, queue))
        _check(ask(binding), f"{who} cannot be bound to its event", event, queue)
        return findings


class _Preparation:
    """Requests one after the other, on the I/O thread."""

    def __init__(
        self, found: Management, node: Node, need: Need, done: Callable[[Optional[ProviderError]], None]
    ) -> None:
        self._management = found
        self._node = node
        self._left = list(need.requests)
        self._required = need.required
        self._done = done

    def next(self) -> None:
        """Ask the next one."""
        if self._left:
            self._management.submit(self._left.pop(0), self._answered)
        else:
            self._done(None)

    def _answered(self, answer: Union[Answer, ProviderError]) -> None:
        if isinstance(answer, ProviderError):
            self._done(answer)
        elif answer.refusal and self._required:
            self._done(SendRejected(f"{self._node}: what this needs cannot be declared ({answer.refusal})"))
        else:
            self.next()  # a refusal may be of no consequence: a user who may not declare sends to what is there


@functools.lru_cache(maxsize=1024)
def _event_target(event: str, declare: bool) -> Node:
    need = Need(_for_event(event), required=False) if declare else None
    return Node(f"{_EXCHANGES}{encoded(event)}/{encoded(event)}", need=need)


def _for_event(event: str) -> tuple[Request, ...]:
    bindings = (management.post_binding(binding) for binding in rules.exchange_bindings(event))
    return (management.put_exchange(event), *bindings)


def _check(answer: Answer, what: str, address: str, queue: str | None) -> None:
    if answer.status == FORBIDDEN:
        raise AttachRefused(f"{what}: {answer.value}", address=address, queue=queue)
    if answer.refusal:
        raise ProviderError(f"{what}: {answer.refusal}")


def _kind(answer: Answer) -> Any:
    return answer.value.get("type") if isinstance(answer.value, dict) else None


def _consumers(answer: Answer) -> int:
    count = answer.value.get("consumer_count") if isinstance(answer.value, dict) else 0
    return count if isinstance(count, int) else 0
