"""Keeps one connection to a broker, for ever: one thread that connects, waits for the end, and connects again."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Callable, Optional

from aspyx_event.exceptions import (
    AuthenticationFailed,
    ConfigurationError,
    EventError,
    ProviderError,
    ProviderUnavailable,
)
from aspyx_event.providers.amqp.channel import Channel
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.dialects import Dialect, dialect_for
from aspyx_event.providers.amqp.settings import AMQPSettings
from aspyx_event.providers.network.futures import awaited, fail, resolve
from aspyx_event.providers.network.sockets import connect
from aspyx_event.providers.network.tls import TLSRefused, handshake, tls_context
from aspyx_event.retry import Stopped, reconnecting
from aspyx_event.timing import Deadline

logger = logging.getLogger(__name__)

_REFUSED = "amqp:connection-establishment-failed"
_HOPELESS = (AuthenticationFailed, TLSRefused, ConfigurationError)
_SETUP_TIMEOUT = 30.0
_PAUSE_AFTER_A_BUG = 1.0
_LAST_GOODBYE = 10.0

Setup = Callable[[Channel, Dialect, Deadline], None]
Changed = Callable[[bool, Optional[ProviderError]], None]


class Supervisor:
    """The connection's keeper. ``start`` and ``stop`` by one thread at a time, ``channel`` and ``later`` by any.

    setup: called on the supervisor's thread for each new connection, before anybody else gets it.
    changed: called there with every connect (True), loss, and failed attempt.
    """

    def __init__(self, settings: AMQPSettings, container: str, *, setup: Setup, changed: Changed) -> None:
        self._settings = settings
        self._container = container
        self._setup = setup
        self._changed = changed
        self._dialect: Optional[Dialect] = None
        self._reset()

    def _reset(self) -> None:
        self._stop = threading.Event()
        self._wakeup = threading.Event()
        self._ready = threading.Condition()
        self._channel: Optional[Channel] = None
        self._attempted: Optional[Connection] = None
        self._first: Future[None] = Future()
        self._first_deadline = Deadline(None)
        self._last_error: Optional[BaseException] = None
        self._tasks: list[tuple[float, Callable[[], None]]] = []
        self._tasks_lock = threading.Lock()
        self._thread: Optional[threading.Thread] = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection, set up and usable."""
        channel = self._channel
        return channel is not None and channel.connection.alive

    @property
    def dialect(self) -> Dialect | None:
        """The broker's dialect, known from the first connection on."""
        return self._dialect

    def __repr__(self) -> str:
        channel = self._channel
        return f"<Supervisor {channel.connection if channel else 'not connected'}>"

    # -- callers ---------------------------------------------------------------------------------------------------

    def start(self, timeout: float) -> None:
        """Connect; raises within ``timeout`` seconds, and then nothing is left behind."""
        self._reset()
        # A little less, so that the attempt ends, and says in which phase, before the wait for it does.
        self._first_deadline = Deadline(timeout * 0.95)
        self._thread = threading.Thread(target=self._run, name=f"aspyx-amqp-{self._container}", daemon=True)
        self._thread.start()
        try:
            awaited(self._first, timeout)
        except FutureTimeout as error:
            if self._first.done():
                raise
            last, attempted = self._last_error, self._attempted
            self.stop(0)
            if last is None and attempted is not None:
                raise ProviderUnavailable(
                    f"{attempted.where}: {attempted.phase}: no answer within {timeout:.1f} s"
                ) from error
            raise ProviderUnavailable(f"not connected within {timeout:.1f} s: {last or 'no attempt ended'}") from last
        except BaseException:
            self.stop(0)
            raise

    def stop(self, timeout: float | None) -> None:
        """Flush, close, and end the thread. Idempotent."""
        deadline = Deadline(_LAST_GOODBYE if timeout is None else timeout)
        self._stop.set()
        self._wakeup.set()
        with self._ready:
            self._ready.notify_all()
        connection = self._channel.connection if self._channel is not None else self._attempted
        if connection is not None:
            if connection.opened.done():
                connection.close()
                connection.join(deadline.left())
            connection.abort(ProviderUnavailable("the provider was stopped"))
            connection.join(1.0)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(1.0, deadline.left() or 0.0))
        self._channel = None
        self._attempted = None

    def channel(self, deadline: Deadline) -> Channel:
        """The current connection's channel; waits for one. Raises ProviderUnavailable."""
        with self._ready:
            while True:
                channel = self._channel
                if channel is not None and channel.connection.alive:
                    return channel
                if self._stop.is_set() or self._thread is None:
                    raise ProviderUnavailable("the provider is not started, or stopped")
                left = deadline.left()
                if deadline.passed:
                    raise ProviderUnavailable(f"no connection: {self._last_error or 'none yet'}")
                self._ready.wait(0.1 if left is None else min(left, 0.1))

    def later(self, seconds: float, task: Callable[[], None]) -> None:
        """Run a task on the supervisor's thread while it is connected. Tasks do not outlive the connection."""
        with self._tasks_lock:
            self._tasks.append((time.monotonic() + seconds, task))
        self._wakeup.set()

    # -- the supervisor's thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                channel = reconnecting(
                    self._attempt,
                    stop=self._stop,
                    on_failure=self._failed,
                    final=() if self._first.done() else _HOPELESS,
                )
                self._serve(channel)
            except Stopped:
                return
            except _HOPELESS as error:
                fail(self._first, error)
                return
            except Exception:
                logger.exception("the supervisor of the AMQP connection failed; it goes on")
                self._stop.wait(_PAUSE_AFTER_A_BUG)

    def _failed(self, error: BaseException, pause: float) -> None:
        self._last_error = error
        logger.debug("no connection (%s); next attempt in %.1f s", error, pause)
        self._changed(False, _as_provider_error(error))

    def _attempt(self) -> Channel:
        if self._last_error is not None and not self._first.done() and self._first_deadline.passed:
            raise self._last_error  # too late for another attempt: what the last one met is what start() says
        errors: list[ProviderError] = []
        for host, port in self._settings.hosts:
            try:
                return self._attempt_one(host, port)
            except AuthenticationFailed:
                raise
            except ProviderError as error:
                errors.append(error)
        if len(errors) == 1 or all(isinstance(error, TLSRefused) for error in errors):
            raise errors[0]
        raise ProviderUnavailable("; ".join(str(error) for error in errors)) from errors[-1]

    def _attempt_one(self, host: str, port: int) -> Channel:
        settings = self._settings
        left = self._first_deadline.left() if not self._first.done() else None
        deadline = Deadline(settings.connect_timeout if left is None else min(settings.connect_timeout, left))
        # TLS below the engine. proton.SSL would do it inside, but it compares host names only: a certificate for an IP
        # address never fits (measured with 0.40), its errors do not say what is wrong, and a proton built without
        # OpenSSL headers has none at all. A new context each time: certificate files get renewed.
        context = tls_context(settings) if settings.secure else None
        sock = connect(host, port, deadline=deadline, stop=self._stop, step="connect", threads="aspyx-amqp")
        if context is not None:
            sock = handshake(sock, context, host, f"{host}:{port}", deadline=deadline, stop=self._stop)
        connection = Connection(sock, settings, host, port, container=self._container)
        self._attempted = connection
        connection.start()
        try:
            properties = self._opened(connection, deadline)
            if _REFUSED in properties:  # the close frame with the reason follows
                raise self._refusal(connection, deadline)
            self._dialect = self._checked_dialect(connection, properties)
            channel = Channel(connection, own_sessions=self._dialect.own_sessions)
            self._setup(channel, self._dialect, Deadline(_SETUP_TIMEOUT if left is None else left))
            if not connection.alive:
                raise connection.ended.result(1.0)
        except BaseException as error:
            connection.abort(_as_provider_error(error))
            connection.join(1.0)
            raise
        return channel

    def _opened(self, connection: Connection, deadline: Deadline) -> dict[str, Any]:
        try:
            return connection.opened.result(deadline.left())
        except FutureTimeout as error:
            if connection.opened.done():
                raise
            raise ProviderUnavailable(f"{connection.where}: {connection.phase}: no answer in time") from error

    def _refusal(self, connection: Connection, deadline: Deadline) -> ProviderError:
        try:
            return connection.ended.result(deadline.left())
        except FutureTimeout:
            return ProviderUnavailable(f"{connection.where}: the broker refuses the connection, and does not say why")

    def _checked_dialect(self, connection: Connection, properties: dict[str, Any]) -> Dialect:
        product = str(properties.get("product", ""))
        dialect = dialect_for(product, str(properties.get("version", "")), self._settings)
        if self._dialect is not None and self._first.done():
            if dialect.name != self._dialect.name:
                raise ProviderUnavailable(f"{connection.where}: another kind of broker answers here: {product}")
            return self._dialect
        return dialect

    def _serve(self, channel: Channel) -> None:
        connection = channel.connection
        connection.ended.add_done_callback(lambda _ended: self._wakeup.set())
        with self._ready:
            self._channel = channel
            self._ready.notify_all()
        self._last_error = None
        self._changed(True, None)
        resolve(self._first)
        logger.debug("connected to %s", connection.where)
        while not connection.ended.done():
            self._wakeup.wait(self._run_due_tasks())
            self._wakeup.clear()
            if self._stop.is_set():
                return
        self._lost(connection)

    def _lost(self, connection: Connection) -> None:
        error = connection.ended.result()
        connection.join(1.0)
        self._channel = None
        self._last_error = error
        with self._tasks_lock:
            self._tasks.clear()
        self._changed(False, error)

    def _run_due_tasks(self) -> float | None:
        """Run what is due; answers the seconds until the next task."""
        while True:
            with self._tasks_lock:
                now = time.monotonic()
                due = next((task for task in self._tasks if task[0] <= now), None)
                if due is None:
                    return min(at for at, _ in self._tasks) - now if self._tasks else None
                self._tasks.remove(due)
            try:
                due[1]()
            except Exception:
                logger.exception("a task of the AMQP supervisor failed")


def _as_provider_error(error: BaseException) -> ProviderError:
    if isinstance(error, ProviderError):
        return error
    return ProviderUnavailable(str(error)) if isinstance(error, EventError) else ProviderUnavailable(repr(error))
