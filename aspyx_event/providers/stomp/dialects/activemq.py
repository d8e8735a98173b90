"""ActiveMQ Classic: virtual topics. ``VirtualTopic.<event>``, and a queue ``Consumer.<listener>.VirtualTopic.<event>``.

Classic cannot give queues a lifetime: they keep events, those that are not durable too, while their listeners
are away, and stay until an operator, or ``gcInactiveDestinations``, removes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Optional

from aspyx_event.envelope import CE_ID, Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import ProviderError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Capabilities, Target
from aspyx_event.providers.brokers import activemq as rules
from aspyx_event.providers.stomp import mapping
from aspyx_event.providers.stomp.dialects.base import Dialect, Source
from aspyx_event.providers.stomp.errors import attach_error
from aspyx_event.providers.stomp.publisher import Outgoing
from aspyx_event.providers.stomp.session import Sessions
from aspyx_event.timing import Deadline
from aspyx_event.topology import UNKNOWN, Difference, Resource

_PROBE_PATIENCE = 5.0
_LONGEST_HEADER = 10 * 1024
"""Bytes of one header line, the default of Classic's wire format (``maxHeaderLength``)."""
_CUT = "ev_error_stack"


_CANNOT_ASK = (
    "ActiveMQ Classic cannot be asked over STOMP whether something is there: whoever attaches, or sends, creates what "
    "is missing, as far as the user may"
)


class ActiveMQDialect(Dialect):
    """ActiveMQ Classic over STOMP. A NACK sends the message to ActiveMQ.DLQ, or loses it: never used here."""

    name: ClassVar[str] = "activemq"

    _scheduler = True

    def publication(self, envelope: Envelope, event: EventDescriptor) -> Outgoing:
        headers = mapping.encode_headers(envelope.wire_headers)
        if event.durable:
            headers["persistent"] = "true"
        if envelope.ttl is not None:
            headers["expires"] = mapping.expiry(envelope.ttl)
        if envelope.delay:
            headers["AMQ_SCHEDULED_DELAY"] = str(mapping.milliseconds(envelope.delay))
        headers.update(mapping.content_headers(envelope.content_type, envelope.body, text=True))
        return Outgoing(f"/topic/{rules.topic_of(event.name)}", headers, envelope.body, envelope.id)

    def copy(
        self, frame: Mapping[str, str], body: bytes, destination: str, headers: Mapping[str, str], *, delay: float
    ) -> Outgoing:
        plain = "::" not in destination
        found = mapping.encode_headers(_fitting(headers))
        if plain or self.persistent(frame):
            found["persistent"] = "true"
        if not plain and mapping.expiry_of(frame, "expires"):
            found["expires"] = frame["expires"]
        if delay > 0:
            found["AMQ_SCHEDULED_DELAY"] = str(mapping.milliseconds(delay))
        found.update(mapping.content_headers(mapping.content_type_of(frame), body, text=True))
        return Outgoing(destination_of(destination), found, body, headers.get(CE_ID))

    def source(self, queue: str, listener: Optional[EventListenerDescriptor] = None) -> Source:  # noqa: ARG002
        return Source(destination_of(queue), {})

    def flow(self, amount: int) -> Mapping[str, str]:
        return {"activemq.prefetchSize": str(amount)}

    # -- the broker ------------------------------------------------------------------------------------------------

    def capabilities(self, sessions: Sessions, deadline: Deadline) -> Capabilities:
        """Delays need ``schedulerSupport``, which can only be tried out: a scheduled message says so when it comes."""
        with sessions.session(deadline) as session:
            session.subscribe("/temp-queue/probe", {}, ack="auto")
            delayed = {"destination": "/temp-queue/probe", "AMQ_SCHEDULED_DELAY": "1"}
            session.ask("SEND", delayed, b"?")
            message = session.next(_PROBE_PATIENCE)
        self._scheduler = message is None or "scheduledJobId" in message[0]
        return Capabilities(delay=self._scheduler, delivery_count=False)

    def topology(self, target: Target) -> list[Resource]:
        return rules.resources(target, self._naming)

    def differences(self, sessions: Sessions, targets: Sequence[Target], deadline: Deadline) -> list[Difference]:  # noqa: ARG002
        advice = f"{_CANNOT_ASK}: look for it in the broker's console"
        return [Difference(resource, UNKNOWN, advice) for target in targets for resource in self.topology(target)]

    def declare(self, sessions: Sessions, target: Target, deadline: Deadline) -> list[str]:
        if not self._settings.declare:
            return [f"declare=False, and {_CANNOT_ASK}"]
        if isinstance(target, EventDescriptor):
            return []
        queue = target if isinstance(target, str) else self._naming.queue_name(target)
        who = f"queue {queue!r}" if isinstance(target, str) else f"listener {target.name!r}: queue {queue!r}"
        try:
            with sessions.session(deadline) as session:
                # A browser: the queue exists from its first subscriber on, and nothing is taken.
                session.subscribe(destination_of(queue), {"browser": "true", **self.flow(1)})
        except ProviderError as error:
            raise attach_error(f"{who} cannot be declared", error, address=queue, queue=queue) from error
        if isinstance(target, str) or target.durable:
            return []
        what = "after its process is gone" if target.per_process else "and its events while the listener is away"
        advice = "remove it, or configure gcInactiveDestinations for 'Consumer.*.VirtualTopic.>'"
        return [f"{who}: ActiveMQ Classic keeps this queue {what}; {advice}"]

    # -- the error queue -------------------------------------------------------------------------------------------

    def browse(self, sessions: Sessions, queue: str, deadline: Deadline) -> list[Envelope]:
        return self._browse(sessions, queue, {}, deadline)

    def _browse(self, sessions: Sessions, queue: str, headers: Mapping[str, str], deadline: Deadline) -> list[Envelope]:
        envelopes: list[Envelope] = []
        with sessions.session(deadline) as session:
            session.subscribe(destination_of(queue), {**headers, "browser": "true"})
            while True:
                message = session.next(_PROBE_PATIENCE)
                if message is None:
                    raise ProviderError(f"queue {queue!r}: the broker did not say where the browser ends")
                if message[0].get("browser") == "end":
                    return envelopes
                envelopes.append(self.read(*message))

    def holds(self, sessions: Sessions, queue: str, event_id: str, deadline: Deadline) -> Optional[bool]:
        return bool(self._browse(sessions, queue, self.take_selector(event_id), deadline))


def destination_of(queue: str) -> str:
    """The STOMP destination of a queue (canonical name)."""
    return f"/queue/{rules.queue_of(queue)}"


def _fitting(headers: Mapping[str, str]) -> dict[str, str]:
    """The stack trace cut to what a header line may hold, from its front."""
    found = dict(headers)
    stack = found.get(_CUT)
    if stack is not None:
        room = _LONGEST_HEADER - len(_CUT) - 64
        escapes = sum(stack.count(character) for character in "\\\n\r:")
        while len(stack.encode("utf-8")) + escapes > room:
            stack = stack[max(1, (len(stack.encode("utf-8")) + escapes - room) // 4) :]
            escapes = sum(stack.count(character) for character in "\\\n\r:")
        found[_CUT] = stack
    return found
