"""THE seam between the library and a transport.

A provider moves bytes and headers; it knows no listener code, no JSON, no retry policy. A third-party provider
implements the three classes below and proves itself with ``aspyx_event.testing.conformance``.

The contract, beyond the signatures:

* Everything here is thread-safe, except that ``start`` and ``stop`` are called by one thread at a time.
* Queue names are canonical strings, the same for every protocol and broker: ``<event>::<listener>`` with the
  provider's prefix and server name worked in, or a plain name without ``::`` for the error queue. They travel in
  headers, so one process, and one protocol, can use what another wrote.
* ``on_delivery`` and ``on_state`` are called by the provider's own threads, and never block or raise.
* A confirmation is set exactly once, when the broker has stored the event or refused it. One that nobody waits for any
  more gets cancelled by the waiter; the provider then forgets the message instead of writing it again.
* What was written but not confirmed when the connection broke is written again after the reconnect, with the same id.
* After a reconnect every declared queue is declared again, and every subscription is attached again.
* Deliveries of an old connection are no longer ``alive``; settling one does nothing, because the broker gives the
  message to somebody else.
* A subscription that is refused later on is reported by ``on_state`` with its queue and the error, and tried again;
  once it is attached again, with its queue and no error.
* Deliveries that are not ``alive`` do not count against a subscription's credit.
* Foreign exceptions never leave a provider: it raises, and sets, those of ``aspyx_event.exceptions``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Callable, Optional, Union

from aspyx_event.envelope import Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import ConfigurationError, ProviderError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.topology import Difference, Topology

Confirmation = Future
"""``Future[None]``: done when the broker has confirmed, failed with a ProviderError when it refused."""


@dataclass(frozen=True)
class Capabilities:
    """What a provider can do on its broker. ``start()`` warns by it, and the conformance suite skips by it."""

    durable: bool = True
    """Durable events survive a restart of the broker, and wait for listeners that are down."""
    delay: bool = True
    """A delivery can be delayed; without it, delayed retries come back at once."""
    ttl: bool = True
    """Events can expire."""
    per_process: bool = True
    """Every process can have its own queue."""
    cross_process: bool = True
    """Senders and listeners may be different processes."""
    browse: bool = True
    """A queue can be read without consuming it."""
    delivery_count: bool = True
    """The broker counts deliveries that ended without a settlement (a consumer that died)."""


@dataclass(frozen=True)
class ProviderState:
    """What ``on_state`` reports: a connection came or went, or one subscription was refused."""

    connected: bool
    error: Optional[ProviderError] = None
    queue: Optional[str] = None
    """Set when the report is about the subscription of this queue alone."""


class Delivery(ABC):
    """One message handed to us and not settled yet. Thread-safe; the first settlement counts, later ones do nothing."""

    @property
    @abstractmethod
    def alive(self) -> bool:
        """Whether settling still has an effect: False when settled, or when its connection is gone."""

    @abstractmethod
    def read(self) -> Envelope:
        """Split the message into headers and body. Called in a worker thread, more than once at will, and answers a new
        envelope each time; never raises: what cannot be read is said in ``Envelope.unreadable``."""

    @abstractmethod
    def accept(self) -> None:
        """Done with it: the broker forgets the message."""

    @abstractmethod
    def release(self) -> None:
        """Give it back unchanged, as if it had never been here; no attempt is counted."""

    @abstractmethod
    def forward(self, destination: str, headers: Mapping[str, str], *, delay: float = 0) -> Confirmation[None]:
        """Send a copy, persistent if the original was or if it goes to a plain queue, and without a time to live there.

        The copy has the original body bytes, body section and content type, and exactly ``headers``. It reaches the
        queue ``destination`` (canonical name) and no other, ``delay`` seconds from now. Settles nothing.
        """


Target = Union[EventDescriptor, EventListenerDescriptor, str]
"""What can be declared: an event's address, a listener's queue, or a plain queue."""

OnDelivery = Callable[[Delivery], None]
OnState = Callable[[ProviderState], None]


class Subscription(ABC):
    """The attachment of one listener to its queue."""

    returns_to_head: bool = True
    """Whether each delivery that is released goes to the head of the queue; False: behind those released before.

    Several are released in the order that keeps theirs."""

    @property
    @abstractmethod
    def queue(self) -> str:
        """The canonical name of the queue it reads."""

    @abstractmethod
    def set_credit(self, credit: int) -> None:
        """Bound the deliveries that are handed over and not settled."""

    @abstractmethod
    def pause(self) -> None:
        """No further deliveries until ``resume``; those already on their way still arrive."""

    @abstractmethod
    def resume(self) -> None:
        """Deliveries again."""

    def give_back(self) -> None:  # noqa: B027 - a default
        """While paused: let others have what the broker has sent here and is not handed over yet. Does not wait.

        The default does nothing: right where a pause leaves nothing of that kind behind.
        """

    @abstractmethod
    def close(self, timeout: float | None = None) -> None:
        """No new deliveries from here on: when it returns, ``on_delivery`` is not called any more (within ``timeout``
        seconds). The connection stays, deliveries can still be settled."""


class Provider(ABC):
    """A transport. See the module's text for the contract."""

    capabilities: Capabilities
    """Final after ``start``: it may depend on the broker."""

    @property
    @abstractmethod
    def server_name(self) -> str:
        """The name of this process: the CloudEvents source, and part of the names of per_process queues."""

    @property
    @abstractmethod
    def error_queue(self) -> str:
        """The plain queue for dead letters."""

    @property
    @abstractmethod
    def connected(self) -> bool:
        """Whether the broker can be reached right now."""

    @abstractmethod
    def queue_name(self, listener: EventListenerDescriptor) -> str:
        """The canonical name of a listener's queue in this process."""

    @abstractmethod
    def start(self, on_state: OnState, *, timeout: float) -> None:
        """Connect and authenticate; then keep the connection, for ever, by reconnecting.

        Raises within ``timeout`` seconds, and then leaves nothing behind: AuthenticationFailed at once,
        ProviderUnavailable naming host, port and the phase it got stuck in, ConfigurationError for options that
        cannot work.
        """

    @abstractmethod
    def declare(self, target: Target, *, timeout: float) -> None:
        """Make sure an event's address, a listener's queue or a plain queue exists; again after every reconnect.

        A provider that was told to create nothing checks instead, as far as it can, before anything is attached.

        Raises ConfigurationError when a queue of this name belongs to another address, MissingResources when it is not
        there and must not be created, AttachRefused when the user may not, ProviderError else.
        """

    def findings(self) -> list[str]:
        """Sentences about settings of the broker that endanger what was declared. Read once, after the declarations."""
        return []

    def topology(self, targets: Iterable[Target]) -> Topology:  # noqa: ARG002 - a default
        """What the broker has to hold for these, without asking it.

        Raises LifecycleError while the kind of broker is not known yet, ConfigurationError when the provider cannot
        describe it.
        """
        raise ConfigurationError(f"{self!r} cannot describe what its broker has to hold: it has no topology()")

    def check(self, targets: Iterable[Target], *, timeout: float) -> list[Difference]:  # noqa: ARG002 - a default
        """Where the broker is not as ``topology`` says; what cannot be found out is ``unknown``. Creates nothing.

        For a started provider. Raises ConfigurationError when it cannot compare, ProviderError within ``timeout``
        seconds.
        """
        raise ConfigurationError(f"{self!r} cannot compare its broker with what is needed: it has no check()")

    @abstractmethod
    def send(self, envelope: Envelope, event: EventDescriptor) -> Confirmation[None]:
        """Send to the event's address. Never blocks; while there is no connection the message waits.

        Before the first ``start`` it raises ProviderUnavailable, or answers a confirmation that failed with it.
        """

    @abstractmethod
    def subscribe(
        self, listener: EventListenerDescriptor, on_delivery: OnDelivery, *, credit: int, timeout: float
    ) -> Subscription:
        """Attach to the listener's queue. At most ``credit`` deliveries are handed over and unsettled at any time.

        Raises like ``declare``.
        """

    @abstractmethod
    def browse(self, queue: str, *, timeout: float) -> Iterator[Envelope]:
        """Read what lies in a plain queue without taking it. Ends after the last message.

        ``timeout`` bounds each step; what goes wrong is raised by the iterator.
        """

    @abstractmethod
    def take(self, queue: str, event_id: str, *, timeout: float) -> Delivery | None:
        """Take the first message with this id from a plain queue, unsettled; all others stay. None: not there."""

    @abstractmethod
    def stop(self, *, timeout: float | None) -> None:
        """Flush settlements, close everything. Idempotent. Confirmations that are still open fail."""
