"""The provider: composition of settings, dialect, publisher and subscriptions."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from typing import Callable, Optional, TypeVar

from aspyx_event.envelope import Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import (
    AttachRefused,
    ConfigurationError,
    LifecycleError,
    ProviderError,
    ProviderUnavailable,
)
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
from aspyx_event.providers.naming import DEFAULT_SERVER_NAME
from aspyx_event.providers.network.settings import Hosts
from aspyx_event.providers.network.url_options import arguments_from_url
from aspyx_event.providers.stomp.channel import Channel, Opener, await_first
from aspyx_event.providers.stomp.consuming import keep_attached
from aspyx_event.providers.stomp.dialects import Dialect, dialect_by_name, dialect_for
from aspyx_event.providers.stomp.errors import as_provider_error
from aspyx_event.providers.stomp.link import Link
from aspyx_event.providers.stomp.publisher import Publisher
from aspyx_event.providers.stomp.session import Sessions
from aspyx_event.providers.stomp.settings import StompSettings
from aspyx_event.providers.stomp.subscription import StompSubscription
from aspyx_event.providers.stomp.taking import take
from aspyx_event.timing import Deadline
from aspyx_event.topology import Difference, Topology, combined, merged

logger = logging.getLogger(__name__)

_SETUP_TIMEOUT = 30.0
_REDECLARE_TIMEOUT = 10.0
_INSIST = 0.25

T = TypeVar("T")


class StompProvider(Provider):
    """STOMP 1.2 over stomp.py, for Apache ActiveMQ Artemis, RabbitMQ and ActiveMQ Classic. See StompSettings for the
    options.

    One connection sends; each subscription has one of its own. Thread-safe, but for ``start`` and ``stop``, which one
    thread calls at a time. Raises ConfigurationError that names the option, or says what to install.
    """

    capabilities = Capabilities()

    def __init__(
        self,
        server_name: str = DEFAULT_SERVER_NAME,
        host: str = "localhost",
        port: int = 61613,
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
        error_queue: str | None = None,
        declare: bool = True,
        broker: str | None = None,
        virtual_host: str = "/",
    ) -> None:
        options = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        self._settings = StompSettings(**options)
        _check_installed()
        self._naming = self._settings.naming
        self._opener = Opener(self._settings)  # files that cannot be used are found here, not in some reconnect
        self._sessions = Sessions(self._opener, f"aspyx-stomp-{self.server_name}-session")
        self._publisher = Publisher()
        self._channel: Optional[Channel] = None
        self._dialect: Optional[Dialect] = None
        self._on_state: OnState = lambda _state: None
        self._lock = threading.Lock()
        self._declared: dict[Target, list[str]] = {}
        self._subscriptions: list[StompSubscription] = []
        self._reported = False

    @classmethod
    def from_url(
        cls, *, hosts: list[tuple[str, int | None]], user: str, password: str, tls: bool, options: dict[str, str]
    ) -> StompProvider:
        """A provider from the parts of a ``stomp://`` or ``stomps://`` URL. Raises ConfigurationError."""
        found = arguments_from_url(StompSettings, hosts=hosts, user=user, password=password, tls=tls, options=options)
        return cls(**found)

    def __repr__(self) -> str:
        hosts = ",".join(f"{host}:{port}" for host, port in self._settings.hosts)
        state = "connected" if self.connected else "not connected"
        return f"<StompProvider {hosts} {state} server_name={self.server_name}>"

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def server_name(self) -> str:
        """See Provider."""
        return self._naming.server_name

    @property
    def error_queue(self) -> str:
        """See Provider."""
        return self._settings.error_queue or self._naming.error_queue

    @property
    def connected(self) -> bool:
        """See Provider. True when all connections are there: the one that sends, and those of the subscriptions."""
        channel = self._channel
        return channel is not None and channel.link is not None and self._attached()

    def _attached(self) -> bool:
        return all(subscription.closed or subscription.attached for subscription in tuple(self._subscriptions))

    def queue_name(self, listener: EventListenerDescriptor) -> str:
        """See Provider."""
        return self._naming.queue_name(listener)

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self, on_state: OnState, *, timeout: float) -> None:
        """See Provider."""
        if self._channel is not None:
            raise LifecycleError(f"{self!r} is started already")
        self._on_state = on_state
        self._declared.clear()
        self._subscriptions.clear()
        self._reported = False
        self._dialect = None
        self._publisher.open()
        channel = self._channel = Channel(
            f"aspyx-stomp-{self.server_name}-publish",
            self._opener,
            up=self._up,
            ready=self._report,
            down=self._down,
            patience=timeout,
        )
        channel.start()
        try:
            await_first(channel, timeout, f"no connection within {timeout:g} s")
        except BaseException:
            self._channel = None
            self._publisher.close(ProviderUnavailable("the provider is not started"))
            raise

    def stop(self, *, timeout: float | None) -> None:
        """See Provider."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        deadline = Deadline(timeout)
        with self._lock:
            subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            subscription.close(deadline.left())
            if subscription.channel is not None:
                subscription.channel.close(deadline.left())
        channel.close(deadline.left())
        channels = [channel, *(s.channel for s in subscriptions if s.channel is not None)]
        for one in channels:
            if not one.join(deadline.left()):
                one.abort()
                one.join(1.0)
        self._publisher.close(ProviderUnavailable("the provider was stopped"))
        if self._dialect is not None:
            self._dialect.close()

    # -- the publishing connection's thread ------------------------------------------------------------------------

    def _up(self, link: Link) -> None:
        first = self._dialect is None
        dialect = dialect_for(link.server, self._settings)
        if first:
            self.capabilities = dialect.capabilities(self._sessions, Deadline(_SETUP_TIMEOUT))
            self._dialect = dialect
        else:
            self._declare_again()
        self._publisher.use(link)

    def _declare_again(self) -> None:
        with self._lock:
            attached = {subscription.listener for subscription in self._subscriptions if not subscription.closed}
            targets = [target for target in list(self._declared) if target not in attached]
        for target in targets:
            try:
                self._declare(target, Deadline(_REDECLARE_TIMEOUT))
            except (ConfigurationError, AttachRefused) as error:
                self._on_state(ProviderState(self.connected, as_provider_error(error), self._name(target)))

    def _name(self, target: Target) -> str:
        return self.queue_name(target) if isinstance(target, EventListenerDescriptor) else str(target)

    def _down(self, error: BaseException, pause: Optional[float]) -> None:
        if pause is None:
            if self._dialect is not None:
                self._dialect.lost()
            self._publisher.lost(as_provider_error(error))
        else:
            logger.debug("%r: %s; next attempt in %.1f s", self, error, pause)
        self._report(as_provider_error(error))

    def _report(self, error: Optional[ProviderError] = None) -> None:
        """Connected means all connections. Every failure is reported, and every change; nothing while it stops."""
        if self._channel is None:
            return
        with self._lock:
            connected = self.connected
            changed, self._reported = connected != self._reported, connected
        if changed or error is not None:
            self._on_state(ProviderState(connected=connected, error=error))

    # -- declaring -------------------------------------------------------------------------------------------------

    def declare(self, target: Target, *, timeout: float) -> None:
        """See Provider."""
        self._started()
        deadline = Deadline(timeout)
        self._insist(lambda: self._declare(target, deadline), deadline)

    def _declare(self, target: Target, deadline: Deadline) -> None:
        dialect = self._started()
        dialect.check(target)
        self._declared[target] = dialect.declare(self._sessions, target, deadline)

    def topology(self, targets: Iterable[Target]) -> Topology:
        """See Provider; known before the start if ``broker`` was given."""
        dialect = self._dialect or dialect_by_name(self._settings)
        return merged(dialect.name, (resource for target in targets for resource in dialect.topology(target)))

    def check(self, targets: Iterable[Target], *, timeout: float) -> list[Difference]:
        """See Provider."""
        dialect, wanted, deadline = self._started(), tuple(targets), Deadline(timeout)
        return combined(self._insist(lambda: dialect.differences(self._sessions, wanted, deadline), deadline))

    def _insist(self, call: Callable[[], T], deadline: Deadline) -> T:
        """A call that finds no connection is made again while its time lasts."""
        while True:
            try:
                return call()
            except ProviderUnavailable:
                channel = self._channel
                if channel is None or deadline.passed:
                    raise
                left = deadline.left()
                channel.stopping.wait(_INSIST if left is None else min(_INSIST, left))

    def findings(self) -> list[str]:
        """See Provider."""
        found = [sentence for sentences in list(self._declared.values()) for sentence in sentences]
        return list(dict.fromkeys(found))

    def _started(self) -> Dialect:
        dialect = self._dialect
        if dialect is None or self._channel is None:
            raise LifecycleError(f"start the provider first: {self!r}")
        return dialect

    # -- sending and receiving -------------------------------------------------------------------------------------

    def send(self, envelope: Envelope, event: EventDescriptor) -> Confirmation[None]:
        """See Provider."""
        dialect = self._dialect
        if dialect is None:
            confirmation: Confirmation[None] = Confirmation()
            confirmation.set_exception(ProviderUnavailable("the provider is not started", event_id=envelope.id))
            return confirmation
        return dialect.send(lambda: dialect.publication(envelope, event), self._publisher.send)

    def subscribe(
        self, listener: EventListenerDescriptor, on_delivery: OnDelivery, *, credit: int, timeout: float
    ) -> Subscription:
        """See Provider."""
        deadline = Deadline(timeout)
        dialect = self._started()
        queue = self.queue_name(listener)
        if listener not in self._declared:
            self.declare(listener, timeout=timeout)
        subscription = StompSubscription(
            listener, queue, on_delivery, credit=credit, dialect=dialect, publisher=self._publisher
        )
        channel = keep_attached(
            subscription,
            self._opener,
            f"aspyx-stomp-{self.server_name}-consume-{queue}",
            patience=deadline.left(),
            declare=lambda: self._declare(listener, Deadline(_REDECLARE_TIMEOUT)),
            refused=self._refused,
            report=self._report,
        )
        try:
            await_first(channel, deadline.left(), f"queue {queue!r}: not attached within {timeout:.1f} s")
            with self._lock:
                self._started()
                self._subscriptions = [known for known in self._subscriptions if not known.ended]
                self._subscriptions.append(subscription)
        except BaseException:
            subscription.close(0)
            channel.abort()
            raise
        return subscription

    def _refused(self, subscription: StompSubscription, error: Optional[ProviderError]) -> None:
        self._on_state(ProviderState(connected=self.connected, error=error, queue=subscription.queue))

    # -- the error queue -------------------------------------------------------------------------------------------

    def browse(self, queue: str, *, timeout: float) -> Iterator[Envelope]:
        """See Provider."""
        dialect, deadline = self._started(), Deadline(timeout)
        return iter(self._insist(lambda: dialect.browse(self._sessions, queue, deadline), deadline))

    def take(self, queue: str, event_id: str, *, timeout: float) -> Delivery | None:
        """See Provider."""
        dialect, deadline = self._started(), Deadline(timeout)
        return self._insist(lambda: take(self._sessions, dialect, self._publisher, queue, event_id, deadline), deadline)


def _check_installed() -> None:
    try:
        import aspyx_event.providers.stomp.wire  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "the STOMP provider needs stomp.py: pip install aspyx-event[stomp]"
            f"{'' if error.name == 'stomp' else f' ({error})'}"
        ) from error
