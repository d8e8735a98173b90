"""Futures that somebody else may cancel at any moment."""

from __future__ import annotations

import threading
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING
from typing import Any, Callable, Optional, TypeVar

from aspyx_event.timing import Deadline

_STEP = 0.5
_OPEN = (PENDING, RUNNING)
_CANCELLED = (CANCELLED, CANCELLED_AND_NOTIFIED)

T = TypeVar("T")


class Answer(Future[None]):
    """A Future whose Condition is made when ``concurrent.futures.wait``, or somebody like it, asks for it.

    Nobody asks for most of those that sends get. Making it, waiting and answering through it is most of what a
    confirmation costs, in time and memory, and one is made for each event. What the Condition locks is locked all the
    same; whoever looks for it before the end is notified.
    """

    # The attributes of Future, which are private there: tests/unit/providers/network compares them.
    __slots__ = (
        "_done_callbacks",
        "_exception",
        "_lock",
        "_made",
        "_result",
        "_sleepers",
        "_state",
        "_waiters",
    )

    def __init__(self) -> None:
        # Instead of Future's own, which makes the Condition, and lists that stay empty.
        self._lock = threading.RLock()  # as in Condition: the repr in its errors takes it again
        self._state = PENDING
        self._result: Any = None
        self._exception: Optional[BaseException] = None
        self._done_callbacks: tuple[Callable[[Any], object], ...] = ()
        self._sleepers: tuple[Any, ...] = ()  # locks that the end releases: a Condition without its detours
        self._made: Optional[threading.Condition] = None

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override] # an attribute there
        with self._lock:
            if self._made is None:
                self._waiters: list[Any] = []  # who reads or writes these has the Condition
                self._made = threading.Condition(self._lock)
            return self._made

    def done(self) -> bool:
        """Whether it is answered, or cancelled."""
        return self._state not in _OPEN

    def cancelled(self) -> bool:
        """Whether nobody waits any more."""
        return self._state in _CANCELLED

    def cancel(self) -> bool:
        """Nobody waits any more. False when it is answered."""
        if self._state not in _OPEN:
            return self._state in _CANCELLED
        if self._end(CANCELLED):
            return True
        cancelled = super().cancel()
        self._wake()
        return cancelled

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the answer, at most ``timeout`` seconds; the error that it is, if it is one."""
        self._wait(timeout)
        return self._exception if self._state is FINISHED else super().exception(0)

    def result(self, timeout: float | None = None) -> None:
        """Wait for the answer, at most ``timeout`` seconds."""
        self._wait(timeout)
        if self._state is not FINISHED or self._exception is not None:
            super().result(0)

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Call it at the end, in the thread that brings it; now, if that has come."""
        with self._lock:
            if self._state in _OPEN:
                self._done_callbacks = (*self._done_callbacks, fn)
                return
        super().add_done_callback(fn)

    def set_result(self, result: None) -> None:
        """Answer."""
        if not self._end(FINISHED):
            super().set_result(result)
            self._wake()

    def set_exception(self, exception: BaseException | None) -> None:
        """Answer with an error."""
        if not self._end(FINISHED, exception):
            super().set_exception(exception)
            self._wake()

    def _wait(self, timeout: float | None) -> None:
        if self._state is not PENDING:
            return
        sleeper = threading.Lock()
        sleeper.acquire()
        with self._lock:
            if self._state is not PENDING:
                return
            self._sleepers = (*self._sleepers, sleeper)
        sleeper.acquire(timeout=-1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX))

    def _end(self, state: str, exception: BaseException | None = None) -> bool:
        """End it where nobody has the Condition; False otherwise, or where it has ended."""
        with self._lock:
            if self._made is not None or self._state is not PENDING:
                return False
            self._exception = exception
            self._state = state
        self._wake()
        if self._done_callbacks:
            self._invoke_callbacks()  # type: ignore[attr-defined] # of Future
        return True

    def _wake(self) -> None:
        """After the state was changed under the lock: nobody falls asleep any more."""
        if not self._sleepers:
            return
        with self._lock:  # two may end it at once, and only one of them releases each sleeper
            sleepers, self._sleepers = self._sleepers, ()
        for sleeper in sleepers:
            sleeper.release()


def awaited(future: Future[T], timeout: float | None) -> T:
    """``future.result(timeout)``, in steps, for what the main thread may wait for.

    A signal that another thread gets, or that comes just before this one blocks, does not wake it: Python's handler
    runs when it wakes by itself.
    """
    deadline = Deadline(timeout)
    while True:
        left = deadline.left()
        try:
            return future.result(_STEP if left is None else min(_STEP, left))
        except FutureTimeout:
            if future.done():
                return future.result(0)
            if deadline.passed:
                raise


def resolve(future: Future[Any], value: Any = None) -> None:
    """Set the result unless the future is done or cancelled.

    Our futures stay PENDING until then, never RUNNING: a running one could not be cancelled by its waiter.
    """
    try:
        future.set_result(value)
    except InvalidStateError:
        return


def fail(future: Future[Any], error: BaseException) -> None:
    """Set the exception unless the future is done or cancelled."""
    try:
        future.set_exception(error)
    except InvalidStateError:
        return
