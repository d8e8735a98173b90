"""What a dialect answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Callable, ClassVar, Optional

from aspyx_event.envelope import Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import EventError, ProviderError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Capabilities, Confirmation, Target
from aspyx_event.providers.stomp import mapping
from aspyx_event.providers.stomp.errors import attach_error
from aspyx_event.providers.stomp.publisher import Outgoing
from aspyx_event.providers.stomp.session import Sessions
from aspyx_event.providers.stomp.settings import StompSettings
from aspyx_event.timing import Deadline
from aspyx_event.topology import Difference, Resource


@dataclass(frozen=True)
class Source:
    """Where a queue is read from: a SUBSCRIBE frame without id, ack and flow control."""

    destination: str
    headers: Mapping[str, str]


class Dialect(ABC):
    """One kind of broker. Thread-safe; what takes a deadline talks to the broker, over sessions of its own."""

    name: ClassVar[str]
    text_bodies: ClassVar[bool] = True
    """Whether a body without content-length is what JMS clients see as text."""
    releases_by_copy: ClassVar[bool] = False
    """Whether what is released goes to the end of its queue as a copy, and a NACK gives back what cannot be copied.
    Elsewhere a NACK loses the message."""
    silence: Optional[float] = None
    """Seconds without a message after which to subscribe anew: the broker may have ended a consumer without a word."""
    by_bytes: ClassVar[bool] = False
    """Whether the broker's flow control counts bytes, not messages."""

    def __init__(self, settings: StompSettings) -> None:
        self._settings = settings
        self._naming = settings.naming

    @property
    def error_queue(self) -> str:
        """The plain queue for dead letters."""
        return self._settings.error_queue or self._naming.error_queue

    # -- names and frames ------------------------------------------------------------------------------------------

    def check(self, target: Target) -> None:  # noqa: B027 - most brokers take every name
        """Raise ConfigurationError for a name that cannot be expressed on this broker."""

    @abstractmethod
    def publication(self, envelope: Envelope, event: EventDescriptor) -> Outgoing:
        """The frame that sends an event to its address."""

    @abstractmethod
    def copy(
        self, frame: Mapping[str, str], body: bytes, destination: str, headers: Mapping[str, str], *, delay: float
    ) -> Outgoing:
        """The frame that sends a copy of a received message to one queue (canonical name)."""

    def send(self, make: Callable[[], Outgoing], send: Callable[[Outgoing], Confirmation[None]]) -> Confirmation[None]:
        """Send what may have to be made and sent again, elsewhere."""
        return send(make())

    def lost(self) -> None:  # noqa: B027 - most brokers keep what they have confirmed
        """The connection that sends has ended."""

    def close(self) -> None:  # noqa: B027
        """The provider has stopped."""

    @abstractmethod
    def source(self, queue: str, listener: Optional[EventListenerDescriptor] = None) -> Source:
        """Where a queue (canonical name) is read from; the listener is known for those of listeners."""

    def more_sources(self, queue: str, listener: EventListenerDescriptor) -> list[Source]:  # noqa: ARG002
        """Further ways to the same queue, which are attached once ``source`` is, and as far as the credit goes."""
        return []

    def unsubscribes(self, listener: EventListenerDescriptor) -> bool:  # noqa: ARG002
        """Whether an UNSUBSCRIBE leaves the listener's queue and what is in it alone."""
        return True

    def source_refused(self, queue: str, listener: EventListenerDescriptor, error: ProviderError) -> EventError:
        """The error for a listener's queue (canonical name) that cannot be read."""
        what = f"listener {listener.name!r}: queue {queue!r} cannot be read"
        return attach_error(what, error, address=listener.event.name, queue=queue)

    @abstractmethod
    def flow(self, amount: int) -> Mapping[str, str]:
        """The SUBSCRIBE headers that let the broker send ahead so many messages, or bytes."""

    def read(self, frame: Mapping[str, str], body: bytes) -> Envelope:
        """The envelope of a MESSAGE frame."""
        return mapping.decode(
            frame,
            body,
            native_id=self.native_id(frame),
            expires_at=mapping.expiry_of(frame, "expires"),
            delivery_count=self.delivery_count(frame),
        )

    def native_id(self, frame: Mapping[str, str]) -> str | None:
        """The id that the broker or a foreign sender gave, the same for each delivery of the message."""
        return frame.get("message-id")

    def ack_id(self, frame: Mapping[str, str]) -> str:
        """What an ACK or NACK of the message has to name."""
        return frame.get("ack", "")

    def delivery_count(self, frame: Mapping[str, str]) -> int:  # noqa: ARG002
        """How often the broker says that it was delivered before and came back."""
        return 0

    def persistent(self, frame: Mapping[str, str]) -> bool:
        """Whether the message survives a restart of the broker."""
        return frame.get("persistent", "").lower() == "true"

    # -- the broker ------------------------------------------------------------------------------------------------

    @abstractmethod
    def capabilities(self, sessions: Sessions, deadline: Deadline) -> Capabilities:
        """What can be done on this broker, as it is configured."""

    @abstractmethod
    def declare(self, sessions: Sessions, target: Target, deadline: Deadline) -> list[str]:
        """Make sure it exists. Answers findings about it. Raises ConfigurationError and ProviderErrors.

        With ``declare=False`` it creates nothing, and raises MissingResources."""

    @abstractmethod
    def topology(self, target: Target) -> list[Resource]:
        """What the broker has to hold for a target, in the order in which it can be created."""

    @abstractmethod
    def differences(self, sessions: Sessions, targets: Sequence[Target], deadline: Deadline) -> list[Difference]:
        """Where the broker is not as it has to be. Creates nothing that stays. Raises ProviderErrors."""

    @abstractmethod
    def browse(self, sessions: Sessions, queue: str, deadline: Deadline) -> list[Envelope]:
        """What lies in a plain queue, without taking it."""

    def take_selector(self, event_id: str) -> Mapping[str, str]:
        """The SUBSCRIBE headers that let only this CloudEvents id through; empty where brokers cannot select."""
        quoted = event_id.replace("'", "''")
        return {"selector": f"cloudEvents_id = '{quoted}'"}

    @abstractmethod
    def holds(self, sessions: Sessions, queue: str, event_id: str, deadline: Deadline) -> Optional[bool]:
        """Whether a plain queue holds this event; None: cannot be known beforehand."""
