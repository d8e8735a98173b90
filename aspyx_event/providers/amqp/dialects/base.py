"""What a dialect answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Optional

from aspyx_event.exceptions import ConfigurationError, EventError, ProviderError
from aspyx_event.provider import Capabilities, Target
from aspyx_event.providers.amqp.channel import Channel
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome
from aspyx_event.providers.amqp.sending import Prepare
from aspyx_event.providers.amqp.settings import AMQPSettings
from aspyx_event.timing import Deadline
from aspyx_event.topology import Difference, Resource

Declarable = Target


class Dialect(ABC):
    """One kind of broker. ``declare`` waits for the broker: it is not for the I/O thread."""

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    own_sessions: ClassVar[bool] = False
    """Whether a refused link ends its whole session, so that each needs one of its own."""
    delays_by_queues: ClassVar[bool] = False
    """Whether messages wait in queues of their own for their delay, because the broker knows no delays."""
    browsing_takes: ClassVar[bool] = False
    """Whether what is read from ``browse_source`` has to be given back."""
    acquisitions: ClassVar[Optional[int]] = None
    """How often a message may come back to its queue before a copy takes its place; None: as often as needed."""

    def __init__(self, settings: AMQPSettings) -> None:
        self._settings = settings

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
    def declare(self, channel: Channel, target: Declarable, deadline: Deadline) -> list[str]:
        """Make sure it exists. Answers findings about it. Raises ConfigurationError and ProviderErrors.

        With ``declare=False`` it creates nothing, and raises MissingResources."""

    def topology(self, target: Declarable) -> list[Resource]:  # noqa: ARG002 - a default
        """What the broker has to hold for a target, in the order in which it can be created."""
        raise ConfigurationError(f"what {self.name} has to hold over AMQP is not described")

    def differences(self, channel: Channel, targets: Sequence[Declarable], deadline: Deadline) -> list[Difference]:  # noqa: ARG002
        """Where the broker is not as it has to be. Creates nothing. Raises ProviderErrors."""
        raise ConfigurationError(f"what {self.name} holds over AMQP cannot be checked")

    @abstractmethod
    def judge(self, node: Node, outcome: Outcome) -> ProviderError | None:
        """The error that an outcome stands for, None for a success."""

    @abstractmethod
    def source_refused(self, queue: str, condition: Condition | None, *, listener: str | None) -> EventError:
        """The error for a queue that cannot be read."""

    def delayed_event_target(self, event: str, delay: float, *, durable: bool) -> Node:  # noqa: ARG002 - a default
        """Where an event is sent to that is to reach its listeners later."""
        return self.event_target(event)

    def delayed_target(self, queue: str, delay: float, *, durable: bool) -> Node:  # noqa: ARG002 - a default
        """Where a copy is sent to that is to reach the queue later."""
        return self.queue_target(queue)

    def prepare(self, connection: Connection) -> Optional[Prepare]:  # noqa: ARG002 - a default
        """What declares the needs of nodes on this connection, if nodes have any."""
        return None
