"""What a dialect answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Optional, Union

from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import EventError, ProviderError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Capabilities
from aspyx_event.providers.amqp.channel import Channel
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome
from aspyx_event.providers.amqp.settings import AMQPSettings
from aspyx_event.timing import Deadline

Declarable = Union[EventDescriptor, EventListenerDescriptor, str]


class Dialect(ABC):
    """One kind of broker. ``declare`` waits for the broker: it is not for the I/O thread."""

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    own_sessions: ClassVar[bool] = False
    """Whether a refused link ends its whole session, so that each needs one of its own."""

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
        """Make sure it exists. Answers findings about it. Raises ConfigurationError and ProviderErrors."""

    @abstractmethod
    def judge(self, node: Node, outcome: Outcome) -> ProviderError | None:
        """The error that an outcome stands for, None for a success."""

    @abstractmethod
    def source_refused(self, queue: str, condition: Condition | None, *, listener: str | None) -> EventError:
        """The error for a queue that cannot be read."""

    def delayed_target(self, queue: str, delay: float) -> Node:  # noqa: ARG002 - a default
        """Where a copy is sent to that is to reach the queue later."""
        return self.queue_target(queue)
