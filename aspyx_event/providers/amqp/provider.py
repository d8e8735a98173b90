"""The provider: composition of settings, supervisor, outbox and subscriptions."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable, Optional

from aspyx_event.envelope import Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import EventError, ProviderError, ProviderUnavailable
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import (
    Capabilities,
    Confirmation,
    Delivery,
    OnDelivery,
    OnState,
    Provider,
    ProviderState,
    Subscription,
    Target,
)
from aspyx_event.providers.amqp.channel import Channel
from aspyx_event.providers.amqp.delivery import AMQPDelivery, AMQPSubscription
from aspyx_event.providers.amqp.dialects import Dialect, dialect_by_name
from aspyx_event.providers.amqp.errors import BrokerFailed
from aspyx_event.providers.amqp.nodes import Condition
from aspyx_event.providers.amqp.plain_queues import browse, take
from aspyx_event.providers.amqp.receiving import Receiver, Refused
from aspyx_event.providers.amqp.renewing import Renewals
from aspyx_event.providers.amqp.sending import Outbox
from aspyx_event.providers.amqp.settings import AMQPSettings
from aspyx_event.providers.amqp.supervisor import Supervisor
from aspyx_event.providers.naming import DEFAULT_SERVER_NAME
from aspyx_event.providers.network.settings import Hosts
from aspyx_event.providers.network.tls import tls_context
from aspyx_event.providers.network.url_options import arguments_from_url
from aspyx_event.timing import Deadline
from aspyx_event.topology import Difference, Topology, combined, merged

logger = logging.getLogger(__name__)

_REATTACH_FIRST, _REATTACH_LONGEST = 1.0, 30.0
_REATTACH_TIMEOUT = 10.0
_LAST_COPIES = 2.0
_REST = 0.3


class AMQPProvider(Provider):
    """AMQP 1.0 over qpid-proton, for Apache ActiveMQ Artemis and RabbitMQ 4. See AMQPSettings for the options.

    Thread-safe, but for ``start`` and ``stop``, which one thread calls at a time. Raises ConfigurationError that names
    the option.
    """

    capabilities = Capabilities()

    def __init__(
        self,
        server_name: str = DEFAULT_SERVER_NAME,
        host: str = "localhost",
        port: int = 61616,
        user: str = "",
        password: str = "",
        *,
        prefix: str = "",
        hosts: Hosts = (),
        tls: bool | None = None,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        key_password: str | None = None,
        heartbeat: float = 10.0,
        connect_timeout: float = 10.0,
        max_frame_size: int = 128 * 1024,
        error_queue: str | None = None,
        declare: bool = True,
        broker: str | None = None,
        virtual_host: str | None = None,
    ) -> None:
        options = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        self._settings = AMQPSettings(**options)
        self._naming = self._settings.naming
        if self._settings.secure:
            tls_context(self._settings)  # files that cannot be used are found here, not in some reconnect
        self._outbox = Outbox()
        self._supervisor = Supervisor(
            self._settings, self._naming.server_name, setup=self._set_up, changed=self._state_changed
        )
        self._on_state: OnState = lambda _state: None
        self._declared: dict[Target, list[str]] = {}
        self._subscriptions: list[AMQPSubscription] = []
        self._renewals = Renewals(self._forward, lambda: self._known_dialect().acquisitions)
        self._lock = threading.Lock()

    @classmethod
    def from_url(
        cls, *, hosts: list[tuple[str, int | None]], user: str, password: str, tls: bool, options: dict[str, str]
    ) -> AMQPProvider:
        """A provider from the parts of an ``amqp://`` or ``amqps://`` URL. Raises ConfigurationError."""
        found = arguments_from_url(AMQPSettings, hosts=hosts, user=user, password=password, tls=tls, options=options)
        return cls(**found)

    def __repr__(self) -> str:
        hosts = ",".join(f"{host}:{port}" for host, port in self._settings.hosts)
        state = "connected" if self.connected else "not connected"
        return f"<AMQPProvider {hosts} {state} server_name={self.server_name}>"

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def server_name(self) -> str:
        """The name of this process."""
        return self._naming.server_name

    @property
    def error_queue(self) -> str:
        """The plain queue for dead letters."""
        return self._settings.error_queue or self._naming.error_queue

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached right now."""
        return self._supervisor.connected

    def queue_name(self, listener: EventListenerDescriptor) -> str:
        """The canonical name of a listener's queue in this process."""
        return self._naming.queue_name(listener)

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self, on_state: OnState, *, timeout: float) -> None:
        """Connect and authenticate, then keep the connection."""
        self._on_state = on_state
        self._declared.clear()
        self._subscriptions.clear()
        self._outbox.open()
        try:
            self._supervisor.start(timeout)
        except BaseException:
            self._outbox.close(ProviderUnavailable("the provider is not started"))
            raise

    def stop(self, *, timeout: float | None) -> None:
        """Flush settlements, close everything."""
        if self.connected:
            self._renewals.finish(_LAST_COPIES if timeout is None else min(timeout, _LAST_COPIES))
        self._supervisor.stop(timeout)
        for subscription in list(self._subscriptions):
            subscription.closed = True
        self._subscriptions.clear()
        self._outbox.close(ProviderUnavailable("the provider was stopped"))
        if self._supervisor.dialect is not None:
            self._supervisor.dialect.close()

    def _state_changed(self, connected: bool, error: Optional[ProviderError]) -> None:
        if not connected:
            if self._supervisor.dialect is not None:
                self._supervisor.dialect.lost()
            self._outbox.purge()
        self._tell(ProviderState(connected, error))

    def _tell(self, state: ProviderState) -> None:
        try:
            self._on_state(state)
        except Exception:
            logger.exception("on_state raised")

    def _set_up(self, channel: Channel, dialect: Dialect, deadline: Deadline) -> None:
        """Bring a new connection to where the last one was. On the supervisor's thread."""
        self.capabilities = dialect.capabilities
        refused: dict[Target, EventError] = {}
        for target in list(self._declared):
            try:
                self._declared[target] = dialect.declare(channel, target, deadline)
            except ProviderUnavailable:
                raise
            except EventError as error:
                self._report_refusal(target, error)
                refused[target] = error
        connection = channel.connection
        prepare = dialect.prepare(connection)
        connection.post(
            lambda: self._outbox.attach(connection, dialect.judge, own_sessions=dialect.own_sessions, prepare=prepare)
        )
        for subscription in list(self._subscriptions):
            try:
                if subscription.listener in refused:  # attaching would create what must not be created
                    raise refused[subscription.listener]
                self._attach(subscription, channel, dialect, deadline)
                self._tell(ProviderState(True, None, subscription.queue))  # it may have been refused before
            except ProviderUnavailable:
                raise
            except EventError as error:
                self._refused_again(subscription, error, _REATTACH_FIRST)

    def _report_refusal(self, target: Target, error: EventError) -> None:
        queue = self.queue_name(target) if isinstance(target, EventListenerDescriptor) else str(target)
        refusal = error if isinstance(error, ProviderError) else ProviderError(str(error))
        self._tell(ProviderState(True, refusal, queue))

    # -- declaring and receiving -----------------------------------------------------------------------------------

    def declare(self, target: Target, *, timeout: float) -> None:
        """Make sure it exists, now and after every reconnect."""
        deadline = Deadline(timeout)
        self._declared[target] = self._persistently(
            deadline, lambda channel, dialect: dialect.declare(channel, target, deadline)
        )

    def findings(self) -> list[str]:
        """Sentences about settings of the broker that endanger what was declared."""
        return list(dict.fromkeys(finding for findings in list(self._declared.values()) for finding in findings))

    def topology(self, targets: Iterable[Target]) -> Topology:
        """What the broker has to hold; known before the start if ``broker`` was given."""
        dialect = self._supervisor.dialect or dialect_by_name(self._settings)
        return merged(dialect.name, (resource for target in targets for resource in dialect.topology(target)))

    def check(self, targets: Iterable[Target], *, timeout: float) -> list[Difference]:
        """Where the broker is not as it has to be."""
        wanted, deadline = tuple(targets), Deadline(timeout)
        return combined(
            self._persistently(deadline, lambda channel, dialect: dialect.differences(channel, wanted, deadline))
        )

    def _persistently(self, deadline: Deadline, attempt: Callable[[Channel, Dialect], Any]) -> Any:
        """Run an attempt; again on the next connection when this one breaks, or later when the broker itself failed."""
        pause = threading.Event()
        while True:
            channel = self._supervisor.channel(deadline)
            dialect = self._supervisor.dialect
            assert dialect is not None
            try:
                return attempt(channel, dialect)
            except ProviderUnavailable:
                if channel.connection.alive or deadline.passed:
                    raise
            except BrokerFailed as error:
                left = deadline.left()
                if left is not None and left <= _REST:
                    raise
                logger.debug("%s; next attempt in %.1f s", error, _REST)
                pause.wait(_REST)

    def subscribe(
        self, listener: EventListenerDescriptor, on_delivery: OnDelivery, *, credit: int, timeout: float
    ) -> Subscription:
        """Attach to the listener's queue."""
        deadline = Deadline(timeout)
        if listener not in self._declared:
            self.declare(listener, timeout=timeout)
        subscription = AMQPSubscription(
            listener,
            self.queue_name(listener),
            on_delivery,
            self._forward,
            credit=credit,
            on_close=self._forget,
            renew=self._renewals.renew,
            returns_to_head=self._known_dialect().returns_to_head,
        )
        self._persistently(deadline, lambda channel, dialect: self._attach(subscription, channel, dialect, deadline))
        with self._lock:
            self._subscriptions.append(subscription)
        if subscription.receiver is None or not subscription.receiver.alive:  # lost before the supervisor knew of it
            self._supervisor.later(0, lambda: self._reattach(subscription, _REATTACH_FIRST))
        return subscription

    def _attach(self, subscription: AMQPSubscription, channel: Channel, dialect: Dialect, deadline: Deadline) -> None:
        receiver = Receiver(
            channel.connection,
            dialect.source(subscription.queue),
            subscription.received,
            credit=subscription.credit,
            on_closed=lambda _receiver, condition: self._detached(subscription, condition),
            paused=subscription.paused,
        )
        subscription.receiver = receiver
        try:
            channel.attach(receiver, deadline)
        except Refused as error:
            raise dialect.source_refused(
                subscription.queue, error.condition, listener=subscription.listener.name
            ) from error
        channel.connection.post(lambda: subscription.attached(receiver))

    def _forget(self, subscription: AMQPSubscription) -> None:
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

    def _detached(self, subscription: AMQPSubscription, condition: Condition | None) -> None:
        """The broker closed one subscription's link: its queue was deleted, a right was taken. On the I/O thread."""
        if subscription.closed:
            return
        error = ProviderError(f"queue {subscription.queue!r}: the broker ended the subscription: {condition}")
        self._supervisor.later(0, lambda: self._refused_again(subscription, error, 0))

    def _refused_again(self, subscription: AMQPSubscription, error: EventError, pause: float) -> None:
        logger.debug("%s; next attempt in %.0f s", error, pause)
        refusal = error if isinstance(error, ProviderError) else ProviderError(str(error))
        self._tell(ProviderState(True, refusal, subscription.queue))
        self._supervisor.later(pause, lambda: self._reattach(subscription, pause))

    def _reattach(self, subscription: AMQPSubscription, pause: float) -> None:
        if subscription.closed or (subscription.receiver is not None and subscription.receiver.alive):
            return
        deadline = Deadline(_REATTACH_TIMEOUT)
        channel, dialect = self._supervisor.channel(deadline), self._supervisor.dialect
        assert dialect is not None
        try:
            self._declared[subscription.listener] = dialect.declare(channel, subscription.listener, deadline)
            self._attach(subscription, channel, dialect, deadline)
        except EventError as error:
            if channel.connection.alive:
                self._refused_again(subscription, error, min(_REATTACH_LONGEST, max(_REATTACH_FIRST, pause * 2)))
            return
        self._tell(ProviderState(True, None, subscription.queue))

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(self, envelope: Envelope, event: EventDescriptor) -> Confirmation[None]:
        """Send to the event's address."""
        dialect = self._known_dialect()
        return dialect.send(lambda: dialect.publication(envelope, event), self._outbox.post)

    def _forward(self, data: bytes, destination: str, headers: Mapping[str, str], delay: float) -> Confirmation[None]:
        dialect, kept = self._known_dialect(), dict(headers)
        return dialect.send(lambda: dialect.copy(data, destination, kept, delay=delay), self._outbox.post)

    def _known_dialect(self) -> Dialect:
        dialect = self._supervisor.dialect
        if dialect is None:
            raise ProviderUnavailable("the provider was never started")
        return dialect

    # -- plain queues ----------------------------------------------------------------------------------------------

    def browse(self, queue: str, *, timeout: float) -> Iterator[Envelope]:
        """Read what lies in a queue without taking it; ``timeout`` bounds each step."""
        yield from browse(self._persistently, self._known_dialect(), queue, timeout)

    def take(self, queue: str, event_id: str, *, timeout: float) -> Delivery | None:
        """Take the first message with this id, unsettled."""
        found = take(self._persistently, self._known_dialect(), queue, event_id, timeout)
        return None if found is None else AMQPDelivery(*found, self._forward)
