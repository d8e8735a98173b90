"""Keeps one STOMP connection, for ever: one thread that connects, writes, and connects again."""

from __future__ import annotations

import concurrent.futures
import logging
import ssl
import threading
from concurrent.futures import Future
from typing import Callable, Optional

from aspyx_event.exceptions import AuthenticationFailed, ConfigurationError, ProviderError, ProviderUnavailable
from aspyx_event.providers.network.futures import awaited, fail, resolve
from aspyx_event.providers.network.sockets import connect
from aspyx_event.providers.network.tls import TLSRefused, handshake, tls_context
from aspyx_event.providers.stomp.errors import SubscriptionEnded
from aspyx_event.providers.stomp.link import Link
from aspyx_event.providers.stomp.settings import StompSettings
from aspyx_event.providers.stomp.stream import Stream
from aspyx_event.retry import Stopped, reconnecting
from aspyx_event.timing import Deadline

logger = logging.getLogger(__name__)

HOPELESS = (AuthenticationFailed, TLSRefused, ConfigurationError)
_IDLE = 60.0
_GOODBYE = 10.0
_REST = 1.0
"""Seconds after the end of a subscription. RabbitMQ tells of it while it still deletes the queue, lets others subscribe
to that queue meanwhile, and never tells them that it is gone (measured with 4.0.5)."""


class Opener:
    """Makes connections: each a new stomp.py object. Thread-safe."""

    def __init__(self, settings: StompSettings) -> None:
        self._settings = settings
        self._context: Optional[ssl.SSLContext] = tls_context(settings) if settings.secure else None

    def open(self, name: str, *, stop: threading.Event, timeout: float | None = None) -> Link:
        """A connection to the first host that accepts one, each given ``connect_timeout`` seconds.

        Raises AuthenticationFailed, TLSRefused, ConfigurationError or ProviderUnavailable, about the last host tried.
        """
        whole = Deadline(timeout)
        last: Optional[ProviderError] = None
        for host, port in self._settings.hosts:
            left = whole.left()
            limit = self._settings.connect_timeout if left is None else min(self._settings.connect_timeout, left)
            try:
                return self._connect(host, port, name, Deadline(limit), stop)
            except AuthenticationFailed:
                raise
            except ProviderError as error:
                last = error
            if stop.is_set():
                break
        raise last or ProviderUnavailable("there is no host to connect to")

    def _connect(self, host: str, port: int, name: str, deadline: Deadline, stop: threading.Event) -> Link:
        settings = self._settings
        sock = connect(host, port, deadline=deadline, stop=stop, step="TCP connect", threads="aspyx-stomp")
        if self._context is not None:
            sock = handshake(sock, self._context, host, f"{host}:{port}", deadline=deadline, stop=stop)
        stream = Stream(sock)
        link = Link(stream, (host, port), name=f"{name}-reader", heartbeat=settings.heartbeat)
        try:
            link.connect(settings.user, settings.password, settings.virtual_host, deadline=deadline, stop=stop)
        except BaseException:
            link.end()
            link.dispose(Deadline(1.0))
            raise
        return link


class Channel:
    """One connection at a time, kept by a thread of its own. Thread-safe.

    up(link): on that thread, for each new connection, before ``link`` shows it; what it raises ends the attempt.
    ready(): on that thread, once ``link`` shows it.
    down(error, pause): on that thread, when a connection was lost or an attempt failed; ``pause`` None means lost.
    idle(link): on that thread, now and then, at least every minute and with every heartbeat.
    first: done with the first connection, or failed when there is no hope for one.
    final: errors before the first connection that end it all. patience: seconds for the attempts until then.
    """

    def __init__(
        self,
        name: str,
        opener: Opener,
        *,
        up: Callable[[Link], None],
        ready: Callable[[], None],
        down: Callable[[BaseException, Optional[float]], None],
        idle: Callable[[Link], None] = lambda _link: None,
        final: tuple[type[BaseException], ...] = HOPELESS,
        patience: float | None = None,
    ) -> None:
        self.name = name
        self.first: Future[None] = Future()
        self.last_failure: Optional[BaseException] = None
        self._opener = opener
        self._up = up
        self._ready = ready
        self._down = down
        self._idle = idle
        self._final = final
        # A little less, so that the attempt ends, and says in which phase, before whoever waits for it gives up.
        self._patience = Deadline(None if patience is None else patience * 0.95)
        self._stop = threading.Event()
        self._recycle: Optional[Link] = None
        self.renewing = False
        """Whether there is no connection only because it was closed to open another."""
        self._deadline = Deadline(_GOODBYE)
        self._link: Optional[Link] = None
        self._opening: Optional[Link] = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def link(self) -> Link | None:
        """The connection, if there is one that can be used."""
        link = self._link
        return link if link is not None and link.alive else None

    @property
    def left(self) -> float | None:
        """Seconds that an attempt may take from now on; None: any, for there was a connection before."""
        return None if self.first.done() else self._patience.left()

    @property
    def stopping(self) -> threading.Event:
        """Set when the channel is to end."""
        return self._stop

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def recycle(self, link: Link) -> None:
        """Close this connection in good order, and open another one at once."""
        self._recycle, self.renewing = link, True
        link.wake()

    def close(self, timeout: float | None = None) -> None:
        """End in good order, without waiting for it. ``timeout`` seconds for the goodbye."""
        self._deadline = Deadline(_GOODBYE if timeout is None else timeout)
        self._stop.set()
        opening = self._opening
        if opening is not None:
            opening.end()
        link = self._link
        if link is not None:
            link.wake()

    def join(self, timeout: float | None) -> bool:
        """Wait for the end; whether it came. From its own thread it does not wait."""
        if self._thread is threading.current_thread():
            return True
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def abort(self) -> None:
        """End without a goodbye."""
        self._deadline = Deadline(0)
        self._stop.set()
        link = self._link
        if link is not None:
            link.end()

    # -- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._connected():
                self._serve()
        except Exception as error:
            logger.exception("the thread %s failed", self.name)
            fail(self.first, ProviderUnavailable(f"the thread {self.name} failed: {error}"))
        fail(self.first, ProviderUnavailable("the provider was stopped"))

    def _connected(self) -> bool:
        final = () if self.first.done() else self._final
        try:
            self._link = reconnecting(self._attempt, stop=self._stop, on_failure=self._failed, final=final)
        except Stopped:
            return False
        except final as error:
            fail(self.first, error)
            return False
        self.renewing = self._recycle is self._link
        self._ready()
        resolve(self.first)
        return True

    def _attempt(self) -> Link:
        if self.last_failure is not None and not self.first.done() and self._patience.passed:
            raise self.last_failure  # too late for another attempt: what the last one met is what start() says
        link = self._opening = self._opener.open(self.name, stop=self._stop, timeout=self.left)
        try:
            self._up(link)
        except BaseException:
            left = self.left
            link.close(Deadline(1.0 if left is None else min(1.0, left)))
            raise
        finally:
            self._opening = None
        return link

    def _failed(self, error: BaseException, pause: float) -> None:
        self.last_failure, self.renewing = error, False
        self._down(error, pause)

    def _serve(self) -> None:
        link = self._link
        if link is None:
            return
        while not self._stop.is_set() and self._recycle is not link and link.pump(_IDLE):
            self._idle(link)
        recycled = self._recycle is link and link.alive
        if self._stop.is_set():
            link.close(self._deadline)
        elif recycled:
            link.close(Deadline(_GOODBYE))
        self._link = None
        link.end()
        link.dispose(Deadline(1.0))
        if not self._stop.is_set() and not recycled:
            self.renewing = False
            self._down(link.error, None)
            if isinstance(link.error, SubscriptionEnded):
                self._stop.wait(_REST)

    def __repr__(self) -> str:
        return f"<Channel {self.name} {self._link or 'not connected'}>"


def await_first(channel: Channel, timeout: float | None, what: str) -> None:
    """Wait for a channel's first connection; one that fails is ended. ``what`` begins the error when time is over."""
    try:
        awaited(channel.first, timeout)
    except BaseException as error:
        channel.abort()
        channel.join(1.0)
        if isinstance(error, concurrent.futures.TimeoutError):
            last = channel.last_failure
            raise ProviderUnavailable(f"{what}: {last or 'no answer'}") from last
        raise
