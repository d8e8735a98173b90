"""EventManager: puts provider, registry, sender and dispatcher together."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Optional, Union

from aspyx_event.codec import DEFAULT_MAX_MESSAGE_SIZE, JsonCodec
from aspyx_event.delivery import topology
from aspyx_event.delivery.dead_letters import DeadLetter, DeadLetters
from aspyx_event.delivery.dispatcher import Dispatcher, DispatcherSettings, StopResult, last_steps
from aspyx_event.delivery.health import Health
from aspyx_event.delivery.lifecycle import Lifecycle
from aspyx_event.delivery.outcome import Observer
from aspyx_event.delivery.process import run_until_signal
from aspyx_event.delivery.sender import Sender, SendOptions
from aspyx_event.delivery.startup import Startup
from aspyx_event.delivery.wiring import Wiring, describe
from aspyx_event.envelope import Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exception_manager import ExceptionManager
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Provider as _Provider
from aspyx_event.providers import provider_from_url
from aspyx_event.registry import EventRegistry
from aspyx_event.retry import RetryPolicy
from aspyx_event.timing import SYSTEM_CLOCK, Clock
from aspyx_event.topology import Difference, Topology

logger = logging.getLogger(__name__)

SEND_TIMEOUT = 10.0
START_TIMEOUT = 30.0
STOP_TIMEOUT = 30.0


class EventManager:
    """Sends events, and dispatches received ones to listeners on a pool of threads. Thread-safe.

    provider: a Provider, or a URL such as ``amqp://user:password@host:61616/?server_name=orders-{host}-{pid}``.
    exception_manager: sees every failed attempt, decode failure and background connection failure.
    registry: the events, listeners and pipelines; by default an empty one, to be filled at ``manager.registry``.
    retry: the policy for listeners and events that have none of their own.
    workers: threads for listeners, by default min(32, cpu count + 4). While listeners only compute, one of them works
        alone, because Python runs one thread at a time; the others are there when a listener waits for something.
    max_message_size: the largest body in bytes, in both directions, by default 4 MiB.
    strict: True makes an error of what is otherwise one WARNING at start: options the provider cannot honour, and
    broker settings that endanger what was declared.
    observers: called with an Outcome after every settled delivery, in the worker's thread.
    clock: by which pauses between attempts pass and events expire, the system's by default; delays are the provider's.
    Tests give a ``aspyx_event.testing.ManualClock`` to both.

    Raises ConfigurationError for options that cannot work. Use it as a context manager, or call start and stop.
    """

    Envelope = Envelope
    EventDescriptor = EventDescriptor
    EventListenerDescriptor = EventListenerDescriptor
    Provider = _Provider

    def __init__(
        self,
        provider: Union[_Provider, str],
        exception_manager: Optional[ExceptionManager] = None,
        *,
        registry: Optional[EventRegistry] = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        workers: Optional[int] = None,
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
        strict: bool = False,
        observers: Iterable[Observer] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
            raise ConfigurationError(f"EventManager(workers={workers!r}): a number of threads from 1 on")
        self.provider: _Provider = provider_from_url(provider) if isinstance(provider, str) else provider
        if not isinstance(self.provider, _Provider):
            raise ConfigurationError(f"EventManager({provider!r}): give a Provider or a URL such as 'local://'")
        for name, value, kind in (
            ("exception_manager", exception_manager, ExceptionManager),
            ("registry", registry, EventRegistry),
            ("retry", retry, RetryPolicy),
            ("clock", clock, Clock),
        ):
            if not isinstance(value, (kind, type(None))) or (value is None and name in ("retry", "clock")):
                raise ConfigurationError(f"EventManager({name}={value!r}): give an instance of {kind.__name__}")
        self.registry = registry if registry is not None else EventRegistry()
        self._settings = DispatcherSettings(
            workers=workers or min(32, (os.cpu_count() or 1) + 4),
            codec=JsonCodec(max_message_size=max_message_size),
            exceptions=exception_manager or ExceptionManager(),
            policy=retry,
            observers=_checked(observers),
            clock=clock,
        )
        self._strict = strict
        self._lifecycle = Lifecycle(self)
        self._dead_letters = DeadLetters(self.provider)
        self._sender: Optional[Sender] = None
        self._dispatcher: Optional[Dispatcher] = None
        self._startup: Optional[Startup] = None

    # -- lifecycle

    def start(self, timeout: float = START_TIMEOUT, listen: bool = True) -> None:
        """Connect, authenticate, declare the durable queues, and with ``listen`` start to receive.

        A running manager stays as it is. Raises within ``timeout`` seconds, and leaves nothing behind:
        ConfigurationError, AuthenticationFailed, AttachRefused, ProviderUnavailable; LifecycleError while it stops.
        """
        with self._lifecycle.starting() as fresh:
            if fresh:
                self._startup = Startup(self.provider, self.registry, self._settings, strict=self._strict)
                self._sender, self._dispatcher = self._startup.run(timeout=timeout, listen=listen)
        if fresh and self._dispatcher is not None:
            self._dispatcher.open()

    def stop(self, timeout: float = STOP_TIMEOUT) -> StopResult:
        """End receiving, let running listeners finish, release waiting events, flush confirmations, disconnect.

        One deadline for all of it, and a second more for the last steps where listeners use it up. What did not finish
        is logged, returned as ``abandoned``, and given back to the broker. Stopping again does nothing. Raises
        LifecycleError when called by a listener, or after a fork.
        """
        with self._lifecycle.stopping(self._dispatcher, timeout) as deadline:
            if deadline is None:
                return StopResult()
            dispatcher = self._dispatcher
            try:
                result = dispatcher.stop(deadline) if dispatcher is not None else StopResult()
                self._lifecycle.wait_for_senders(deadline)
            finally:
                try:
                    self.provider.stop(timeout=last_steps(deadline))
                finally:
                    self._sender = None  # the dispatcher stays, for its counters
                    if self._startup is not None:
                        self._startup.close(last_steps(deadline))
            logger.info(
                "stopped: %d finished, %d released, %d abandoned",
                result.finished,
                result.released,
                len(result.abandoned),
            )
            return result

    def run(self, timeout: float = STOP_TIMEOUT) -> int:
        """Start if needed, wait for SIGTERM or SIGINT in the main thread, stop, and return the exit code, 0.

        When listeners do not return within ``timeout`` seconds, their stacks are logged and the process ends at once
        with exit code 70 (EX_SOFTWARE); a second signal ends it at once as well.
        """
        return run_until_signal(self, timeout)

    def __enter__(self) -> EventManager:
        self.start()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()

    # -- sending

    def send_event(
        self,
        event: Any,
        *,
        headers: Optional[Mapping[str, str]] = None,
        key: Optional[str] = None,
        delay: Optional[float] = None,
        ttl: Optional[float] = None,
        id: Optional[str] = None,
        timeout: float = SEND_TIMEOUT,
    ) -> None:
        """Send an event; returns when the broker has confirmed it.

        headers: user's headers. key: events of one key are handled one after the other. delay, ttl: seconds before
        it may, and after which it must not be handled. id: the CloudEvents id, by default a new UUID.

        Raises within ``timeout`` seconds: SendTimeout, SendRejected, ProviderUnavailable, each with ``event_id``;
        CodecError or ConfigurationError for what cannot be sent; LifecycleError before start and after stop.
        """
        options = SendOptions(headers, key, delay, ttl, id)
        with self._lifecycle.sending(self._sender, self._dispatcher, blocking=True) as sender:
            sender.send(event, options, timeout)

    async def send_event_async(
        self,
        event: Any,
        *,
        headers: Optional[Mapping[str, str]] = None,
        key: Optional[str] = None,
        delay: Optional[float] = None,
        ttl: Optional[float] = None,
        id: Optional[str] = None,
        timeout: float = SEND_TIMEOUT,
    ) -> None:
        """``send_event`` for coroutines: waits without blocking the loop. The same arguments and errors."""
        with self._lifecycle.sending(self._sender, self._dispatcher, blocking=False) as sender:
            sending = sender.begin_async(event, SendOptions(headers, key, delay, ttl, id), timeout)
            try:
                await sending
            finally:
                sending.forget()

    def send_events(
        self,
        events: Iterable[Any],
        *,
        headers: Optional[Mapping[str, str]] = None,
        key: Optional[str] = None,
        delay: Optional[float] = None,
        ttl: Optional[float] = None,
        timeout: float = SEND_TIMEOUT,
    ) -> None:
        """Send many events; their confirmations are pipelined, at most 512 are open. ``timeout`` is for each.

        Events that fail do not keep back the others. Raises SendEventsError at the end, whose ``.failed`` lists
        event, id and error.
        """
        options = SendOptions(headers, key, delay, ttl)
        with self._lifecycle.sending(self._sender, self._dispatcher, blocking=True) as sender:
            sender.send_all(events, options, timeout)

    # -- operations

    def health(self) -> Health:
        """Counters and states, a snapshot. Works at any time."""
        return self._lifecycle.health(self._dispatcher, connected=self.provider.connected)

    def describe(self) -> Wiring:
        """What is wired to what; ``print`` it."""
        return describe(
            self.provider,
            self.registry,
            workers=self._settings.workers,
            policy=self._settings.policy,
            health=dict(self.health().listeners),
        )

    def pause(self, *listeners: str) -> None:
        """Let listeners rest, all of them without names, until ``resume`` or ``stop``. Thread-safe, does not wait.

        Running deliveries finish; what waits goes back to the broker, in order, for other processes to get. A listener
        that is paused already stays so, also over a lost connection. Raises ConfigurationError for a name that is not
        attached here, LifecycleError when the manager does not run, or was started with ``listen=False``.
        """
        self._lifecycle.listening(self._dispatcher).pause(listeners)

    def resume(self, *listeners: str) -> None:
        """End the pause of listeners, of all without names. The same rules and errors as for ``pause``."""
        self._lifecycle.listening(self._dispatcher).resume(listeners)

    def topology(self) -> Topology:
        """Every address, queue, exchange, binding and setting that the registry needs on this broker; ``print`` it.

        Nothing is asked of the broker. Works before start() if the kind of broker is known (``broker=`` of the
        provider, or LocalProvider); otherwise raises LifecycleError there. ConfigurationError where the provider
        cannot tell.
        """
        return self.provider.topology(topology.needs(self.provider, self.registry))

    def check_topology(self, timeout: float = START_TIMEOUT) -> list[Difference]:
        """Where the running broker is not as ``topology()`` says; empty when all is there. Creates nothing.

        What this user, or this protocol, cannot find out is in the list as ``unknown``. A manager that is not started
        connects for this question alone. Raises within ``timeout`` seconds what ``start`` raises; LifecycleError
        while the manager starts or stops.
        """
        with self._lifecycle.asking() as running:
            targets = topology.needs(self.provider, self.registry)
            return topology.check(self.provider, targets, running=running, timeout=timeout)

    def dead_letters(self, timeout: float = START_TIMEOUT) -> Iterator[DeadLetter]:
        """The events in the error queue, oldest first, without consuming them. Raises ProviderError, LifecycleError."""
        self._lifecycle.check_running()
        return self._dead_letters.browse(timeout)

    def replay(self, id: str, timeout: float = START_TIMEOUT, *, listener: Optional[str] = None) -> None:
        """Send a dead letter back to the queue of the listener that failed, with the same id and a fresh count.

        listener: of several with this id (an event may fail in several listeners), the one that failed in this one.

        Raises ConfigurationError when there is none with this id, when no listener of the registry reads the queue it
        failed in, or when that is the queue of another listener than its headers say; ProviderError when it could not
        be sent, and then it stays where it is.
        """
        self._lifecycle.check_running()
        readers = {self.provider.queue_name(listener): listener.name for listener in self.registry.listeners}
        if self._dispatcher is not None:
            readers.update((worker.queue, worker.listener.name) for worker in self._dispatcher.workers)
        self._dead_letters.replay(id, readers, timeout, listener=listener)

    def discard(self, id: str, timeout: float = START_TIMEOUT, *, listener: Optional[str] = None) -> None:
        """Remove a dead letter for good. No listener has to be registered. ``listener``: as for ``replay``.

        Raises ConfigurationError when there is none with this id; ProviderError, LifecycleError.
        """
        self._lifecycle.check_running()
        self._dead_letters.discard(id, timeout, listener=listener)

    def __repr__(self) -> str:
        return f"<EventManager {self._lifecycle.state} {self.provider!r}>"


def _checked(observers: Iterable[Observer]) -> tuple[Observer, ...]:
    found = tuple(observers)
    for observer in found:
        if not callable(observer) or inspect.iscoroutinefunction(observer):
            raise ConfigurationError(
                f"EventManager(observers=...): {observer!r} is no ordinary function of one Outcome"
            )
    return found
