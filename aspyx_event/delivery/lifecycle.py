"""Which calls a manager allows, by its state, the calling thread and the calling process."""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Optional

from aspyx_event.delivery import process
from aspyx_event.delivery.dispatcher import Dispatcher
from aspyx_event.delivery.health import Health, overall
from aspyx_event.delivery.sender import Sender
from aspyx_event.exceptions import LifecycleError
from aspyx_event.timing import Deadline

logger = logging.getLogger(__name__)


class State(enum.Enum):
    """The states of a manager; ``start`` leads from NEW and STOPPED to RUNNING."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"

    def __str__(self) -> str:
        return self.value


class Lifecycle:
    """The state of one manager. Thread-safe."""

    def __init__(self, manager: process.Stoppable) -> None:
        self._manager = manager
        self._lock = threading.RLock()  # for sends by itself: Ctrl-C in a Condition's own methods would leave it locked
        self._changed = threading.Condition(self._lock)
        self._senders = 0
        self._pid: Optional[int] = None
        self._warned = False
        self.state = State.NEW

    @contextlib.contextmanager
    def starting(self) -> Iterator[bool]:
        """Around ``start``: whether there is something to do. A failure leads back to STOPPED."""
        process.check_process(self._pid)
        with self._changed:
            if self.state in (State.STARTING, State.STOPPING):
                raise LifecycleError(f"start() while the manager is {self.state}: wait for the other call to end")
            if self.state is State.RUNNING:
                fresh = False
            else:
                fresh, self.state, self._pid = True, State.STARTING, os.getpid()
        if not fresh:
            yield False
            return
        try:
            yield True
        except BaseException:
            self._pid = None
            self._become(State.STOPPED)
            raise
        self._become(State.RUNNING)
        process.started(self._manager)

    @contextlib.contextmanager
    def stopping(self, dispatcher: Optional[Dispatcher], timeout: float) -> Iterator[Optional[Deadline]]:
        """Around ``stop``: its deadline, or None when there is nothing to do."""
        process.check_process(self._pid)
        if dispatcher is not None and dispatcher.owns_current_thread():
            raise LifecycleError(
                "stop() was called by a listener, whose end it would have to wait for: call it elsewhere"
            )
        deadline = Deadline(timeout)
        with self._changed:
            while self.state in (State.STARTING, State.STOPPING):
                if not self._changed.wait(deadline.left()):
                    raise LifecycleError(f"stop() gave up after {timeout:g} s: the manager is still {self.state}")
            if self.state is not State.RUNNING:
                busy = False
            else:
                busy, self.state = True, State.STOPPING
        if not busy:
            yield None
            return
        try:
            yield deadline
        finally:
            self._pid = None
            self._become(State.STOPPED)
            process.stopped(self._manager)

    def sending(self, sender: Optional[Sender], dispatcher: Optional[Dispatcher], *, blocking: bool) -> _Permission:
        """Around a send. While the manager stops, only its running listeners may still send."""
        return _Permission(self, sender, dispatcher, blocking)

    def _enter(self, permission: _Permission, sender: Optional[Sender], dispatcher: Optional[Dispatcher]) -> Sender:
        process.check_process(self._pid)
        with self._lock:
            draining = self.state is State.STOPPING and dispatcher is not None and dispatcher.may_send()
            if sender is None or not (self.state is State.RUNNING or draining):
                raise LifecycleError(f"the manager is {self.state}: events can be sent between start() and stop()")
            permission.counted, self._senders = True, self._senders + 1
        return sender

    def _leave(self, permission: _Permission) -> None:
        with self._lock:
            if permission.counted:
                permission.counted, self._senders = False, self._senders - 1
                if not self._senders:
                    self._changed.notify_all()

    @contextlib.contextmanager
    def asking(self) -> Iterator[bool]:
        """Around a question to the broker: whether the manager runs. If not, it cannot be started meanwhile."""
        process.check_process(self._pid)
        with self._changed:
            if self.state in (State.STARTING, State.STOPPING):
                raise LifecycleError(f"the manager is {self.state}: ask before, or after it")
            before = self.state
            if before is not State.RUNNING:
                self.state = State.STARTING
        try:
            yield before is State.RUNNING
        finally:
            if before is not State.RUNNING:
                self._become(before)

    def check_running(self) -> None:
        """Raises LifecycleError unless the manager runs, in this process."""
        process.check_process(self._pid)
        if self.state is not State.RUNNING:
            raise LifecycleError(f"the manager is {self.state}: call start() first")

    def listening(self, dispatcher: Optional[Dispatcher]) -> Dispatcher:
        """The dispatcher of a manager that runs. Raises LifecycleError."""
        self.check_running()
        if dispatcher is None:
            raise LifecycleError("the manager was started with listen=False: it has no listeners in this process")
        return dispatcher

    def wait_for_senders(self, deadline: Deadline) -> None:
        """Wait until nobody sends any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._senders == 0, deadline.left())

    def health(self, dispatcher: Optional[Dispatcher], *, connected: bool) -> Health:
        """A snapshot of the manager and its listeners."""
        workers = dispatcher.workers if dispatcher is not None else ()
        return overall(
            running=self.state is State.RUNNING,
            connected=connected,
            listeners={worker.listener.name: worker.health(connected=connected) for worker in workers},
        )

    def _become(self, state: State) -> None:
        with self._changed:
            self.state = state
            self._changed.notify_all()

    def _warn_in_loop(self) -> None:
        # Who has not imported asyncio runs no loop, nor does who is just importing it in another thread.
        running_loop = getattr(sys.modules.get("asyncio"), "get_running_loop", None)
        if self._warned or running_loop is None:
            return
        try:
            running_loop()
        except RuntimeError:
            return
        self._warned = True
        logger.warning("send_event() blocks the event loop while it waits: use 'await send_event_async(...)' there")


class _Permission:
    """What ``Lifecycle.sending`` answers. A class: it is made for every event, and a generator takes longer."""

    __slots__ = ("_blocking", "_dispatcher", "_lifecycle", "_sender", "counted")

    def __init__(
        self, lifecycle: Lifecycle, sender: Optional[Sender], dispatcher: Optional[Dispatcher], blocking: bool
    ) -> None:
        self._lifecycle = lifecycle
        self._sender = sender
        self._dispatcher = dispatcher
        self._blocking = blocking
        self.counted = False

    def __enter__(self) -> Sender:
        if self._blocking:
            self._lifecycle._warn_in_loop()
        return self._lifecycle._enter(self, self._sender, self._dispatcher)

    def __exit__(self, *_: object) -> None:
        self._lifecycle._leave(self)

    def __del__(self) -> None:
        if getattr(self, "counted", False):  # Ctrl-C came between the count and the block, or just after it
            self._lifecycle._leave(self)
