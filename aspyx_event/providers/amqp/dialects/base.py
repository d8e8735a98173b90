"""What a dialect answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Callable, ClassVar, Optional

from aspyx_event.envelope import CE_ID, Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import EventError, ProviderError
from aspyx_event.provider import Capabilities, Confirmation, Target
from aspyx_event.providers.amqp import mapping
from aspyx_event.providers.amqp.channel import Channel
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome
from aspyx_event.providers.amqp.sending import Message, Prepare
from aspyx_event.providers.amqp.settings import AMQPSettings
from aspyx_event.timing import Deadline
from aspyx_event.topology import Difference, Resource


class Dialect(ABC):
    """One kind of broker. ``declare`` waits for the broker: it is not for the I/O thread."""

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    own_sessions: ClassVar[bool] = False
    """Whether a refused link ends its whole session, so that each needs one of its own."""
    browsing_takes: ClassVar[bool] = False
    """Whether what is read from ``browse_source`` has to be given back."""
    returns_to_head: ClassVar[bool] = True
    """See Subscription."""
    acquisitions: ClassVar[Optional[int]] = None
    """How often a message may come back to its queue before a copy takes its place; None: as often as needed."""

    def __init__(self, settings: AMQPSettings) -> None:
        self._settings = settings

    def send(self, make: Callable[[], Message], send: Callable[[Message], Confirmation[None]]) -> Confirmation[None]:
        """Send what may have to be made and sent again, elsewhere."""
        return send(make())

    def lost(self) -> None:  # noqa: B027 - most brokers keep what they have confirmed
        """The connection that sends has ended."""

    def close(self) -> None:  # noqa: B027
        """The provider has stopped."""

    @abstractmethod
    def event_target(self, event: str) -> Node:
        """Where an event is sent to."""

    @abstractmethod
    def queue_target(self, queue: str) -> Node:
        """Where a copy is sent to that reaches this queue (canonical name) and no other."""

    @abstractmethod
    def source(self, queue: str) -> Node:
        """Where a queue is read from."""

    @abstractmethod
    def browse_source(self, queue: str) -> Node:
        """Where a queue is read from without taking."""

    def take_source(self, queue: str, event_id: str) -> Optional[Node]:  # noqa: ARG002 - a default
        """A source that yields only messages with this id; None where brokers cannot select."""
        return None

    def must_scan(self, event_id: str) -> bool:  # noqa: ARG002 - a default
        """Whether a message of this id may be there, although ``take_source`` did not find it."""
        return True

    @abstractmethod
    def declare(self, channel: Channel, target: Target, deadline: Deadline) -> list[str]:
        """Make sure it exists. Answers findings about it. Raises ConfigurationError and ProviderErrors.

        With ``declare=False`` it creates nothing, and raises MissingResources."""

    @abstractmethod
    def topology(self, target: Target) -> list[Resource]:
        """What the broker has to hold for a target, in the order in which it can be created."""

    @abstractmethod
    def differences(self, channel: Channel, targets: Sequence[Target], deadline: Deadline) -> list[Difference]:
        """Where the broker is not as it has to be. Creates nothing. Raises ProviderErrors."""

    @abstractmethod
    def judge(self, node: Node, outcome: Outcome) -> ProviderError | None:
        """The error that an outcome stands for, None for a success."""

    @abstractmethod
    def source_refused(self, queue: str, condition: Condition | None, *, listener: str | None) -> EventError:
        """The error for a queue that cannot be read."""

    def publication(self, envelope: Envelope, event: EventDescriptor) -> Message:
        """What an event is sent as."""
        data = mapping.encode(envelope, subject=event.name, durable=event.durable)
        return Message(self.event_target(event.name), data, envelope.id)

    def copy(self, data: bytes, destination: str, headers: Mapping[str, str], *, delay: float) -> Message:
        """What sends a copy of a received message to one queue (canonical name)."""
        plain = "::" not in destination
        copy = mapping.copy(data, headers, durable=True if plain else None, keep_expiry=not plain, delay=delay)
        return Message(self.queue_target(destination), copy, headers.get(CE_ID))

    def prepare(self, connection: Connection) -> Optional[Prepare]:  # noqa: ARG002 - a default
        """What declares the needs of nodes on this connection, if nodes have any."""
        return None
