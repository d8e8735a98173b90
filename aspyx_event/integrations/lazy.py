"""A manager that starts by itself with the first send, in whichever process that happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Callable, Optional

from aspyx_event.delivery.dispatcher import StopResult
from aspyx_event.exceptions import LifecycleError, ProviderUnavailable
from aspyx_event.manager import SEND_TIMEOUT, START_TIMEOUT, STOP_TIMEOUT, EventManager
from aspyx_event.timing import Deadline


class LazyManager:
    """One EventManager for each process: made when it is asked for, started by its first send. Thread-safe.

    Web servers make the application in one process and fork workers from it (gunicorn, with or without ``--preload``;
    the reloader of ``flask run --debug`` and ``runserver`` starts a second one). Whatever was made or started before
    a fork stays with the parent: a child makes and starts its own. Several threads that send at once start it once.
    A start that fails leaves nothing behind, and the next send tries again. The manager stops at the end of its
    process by itself.

    make: makes a manager that is not started. listen: whether sending starts the listeners as well.
    start_timeout: seconds for a start that no send asked for. send_timeout: seconds for a send that says no other.
    """

    def __init__(
        self,
        make: Callable[[], EventManager],
        *,
        listen: bool = False,
        start_timeout: float = START_TIMEOUT,
        send_timeout: float = SEND_TIMEOUT,
    ) -> None:
        self._make = make
        self._listen = listen
        self._start_timeout = start_timeout
        self._send_timeout = send_timeout
        self._substitute: Optional[EventManager] = None
        self._checking = threading.Lock()
        self._forget()
        _all.add(self)

    def _forget(self) -> None:
        """Begin anew. In a child the parent's locks may be held by threads that did not come along."""
        self._making = threading.RLock()
        self._starting = threading.Lock()
        self._manager: Optional[EventManager] = None
        self._ready = self._was_started = False
        self._pid = os.getpid()

    def _check_process(self) -> None:
        """Servers written in C may fork without Python's hooks, as uWSGI does."""
        if self._pid != os.getpid():
            with self._checking:
                if self._pid != os.getpid():
                    self._forget()

    # -- the manager

    def get(self) -> EventManager:
        """This process's manager, started or not. Raises what making it raises, ConfigurationError."""
        if self._substitute is not None:
            return self._substitute
        self._check_process()
        with self._making:
            if self._manager is None:
                self._manager = self._make()
            return self._manager

    def start(self, timeout: Optional[float] = None, *, listen: Optional[bool] = None) -> EventManager:
        """This process's manager, running. Starts it if needed, within ``timeout`` seconds.

        listen: instead of what the integration's settings say; of no effect when it runs already.
        Raises what ``EventManager.start`` raises; ProviderUnavailable when another thread's start takes too long.
        """
        manager = self.get()
        if self._ready:
            return manager
        seconds = self._start_timeout if timeout is None else timeout
        deadline = Deadline(seconds)
        if not self._starting.acquire(timeout=seconds):
            raise ProviderUnavailable(f"no connection after {seconds:g} s: another thread still starts {manager!r}")
        try:
            if not manager.health().live:
                manager.start(deadline.left() or 0.0, self._listen if listen is None else listen)
            self._ready = self._was_started = True
        finally:
            self._starting.release()
        return manager

    def stop(self, timeout: float = STOP_TIMEOUT) -> StopResult:
        """Stop this process's manager, if it has one. The next send would start it again."""
        self._check_process()
        with self._making:
            manager, self._ready = self._manager, False
        return StopResult() if manager is None else manager.stop(timeout)

    @property
    def started(self) -> bool:
        """Whether it was ever started in this process; true also of one that was stopped since."""
        self._check_process()
        manager = self._substitute or self._manager
        return self._was_started or (manager is not None and manager.health().live)

    @contextlib.contextmanager
    def replaced_by(self, manager: EventManager) -> Iterator[EventManager]:
        """For tests: within the block, everybody gets this manager. Raises LifecycleError for a block in a block."""
        if self._substitute is not None:
            raise LifecycleError(f"{self._substitute!r} already stands in for the manager: leave that block first")
        self._substitute, before, self._ready = manager, (self._ready, self._was_started), False
        try:
            yield manager
        finally:
            self._substitute, (self._ready, self._was_started) = None, before

    # -- sending

    def send_event(self, event: Any, *, timeout: Optional[float] = None, **options: Any) -> None:
        """As ``EventManager.send_event``; ``timeout`` includes the start, which the first send does."""
        deadline = Deadline(self._send_timeout if timeout is None else timeout)
        self._running(deadline).send_event(event, timeout=deadline.left() or 0.0, **options)

    async def send_event_async(self, event: Any, *, timeout: Optional[float] = None, **options: Any) -> None:
        """As ``EventManager.send_event_async``. The start happens in a thread, and does not block the loop."""
        deadline = Deadline(self._send_timeout if timeout is None else timeout)
        self._check_process()
        manager = self.get() if self._ready else await asyncio.to_thread(self._running, deadline)
        await manager.send_event_async(event, timeout=deadline.left() or 0.0, **options)

    def send_events(self, events: Iterable[Any], *, timeout: Optional[float] = None, **options: Any) -> None:
        """As ``EventManager.send_events``; ``timeout`` is for the start, and again for each event."""
        seconds = self._send_timeout if timeout is None else timeout
        self._running(Deadline(seconds)).send_events(events, timeout=seconds, **options)

    def _running(self, deadline: Deadline) -> EventManager:
        try:
            return self.start(deadline.left() or 0.0)
        except LifecycleError:  # it stops; what its running listeners send is welcome all the same
            return self.get()

    def __repr__(self) -> str:
        manager = self._substitute or self._manager
        return f"<LazyManager {manager!r}>" if manager is not None else "<LazyManager, not made yet>"


_all: weakref.WeakSet[LazyManager] = weakref.WeakSet()


def _after_fork() -> None:
    for lazy in list(_all):
        lazy._checking = threading.Lock()
        lazy._forget()


os.register_at_fork(after_in_child=_after_fork)
