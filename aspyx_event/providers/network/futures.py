"""Futures that somebody else may cancel at any moment."""

from __future__ import annotations

import threading
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures._base import FINISHED, PENDING
from typing import Any, Optional, TypeVar

from aspyx_event.timing import Deadline

_STEP = 0.5

T = TypeVar("T")


class Answer(Future[None]):
    """A Future whose Condition is made when it is needed: by a callback, a cancellation, ``concurrent.futures.wait``.

    Most of those that sends get need none. Making it, waiting and answering through it is most of what a confirmation
    costs, and one is made for each event. What the Condition locks is locked all the same; whoever looks for it before
    the answer is notified.
    """

    def __init__(self) -> None:
        # Instead of Future's own, which makes the Condition. tests/unit/providers/network compares the attributes.
        self._lock = threading.RLock()  # as in Condition: the repr in its errors takes it again
        self._state = PENDING
        self._result: Any = None
        self._exception: Optional[BaseException] = None
        self._waiters: list[Any] = []
        self._done_callbacks: list[Any] = []
        self._sleepers: list[Any] = []
        """Locks that are released with the answer: what a Condition does, without its detours."""

    def __getattr__(self, name: str) -> Any:
        if name != "_condition":
            raise AttributeError(name)
        return self.__dict__.setdefault(name, threading.Condition(self._lock))  # one, whoever comes at the same time

    def done(self) -> bool:
        """Whether it is answered, or cancelled."""
        return self._state is FINISHED or super().done()

    def cancelled(self) -> bool:
        """Whether nobody waits any more."""
        state = self._state
        return state is not PENDING and state is not FINISHED and super().cancelled()

    def cancel(self) -> bool:
        """Nobody waits any more. False when it is answered."""
        if self._state is FINISHED:
            return False
        cancelled = super().cancel()
        self._wake()
        return cancelled

    def result(self, timeout: float | None = None) -> None:
        """Wait for the answer, at most ``timeout`` seconds."""
        if self._state is PENDING:
            self._sleep(-1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX))
        if self._state is not FINISHED or self._exception is not None:
            super().result(0)

    def _sleep(self, timeout: float) -> None:
        sleeper = threading.Lock()
        sleeper.acquire()
        with self._lock:
            if self._state is not PENDING:
                return
            self._sleepers.append(sleeper)
        sleeper.acquire(timeout=timeout)

    def set_result(self, result: None) -> None:
        """Answer."""
        with self._lock:
            plain = "_condition" not in self.__dict__ and self._state is PENDING
            if plain:
                self._state = FINISHED
        if not plain:
            super().set_result(result)
        self._wake()

    def set_exception(self, exception: BaseException | None) -> None:
        """Answer with an error."""
        super().set_exception(exception)
        self._wake()

    def _wake(self) -> None:
        """After the state was changed under the lock: nobody falls asleep any more."""
        with self._lock:  # two may end it at once, and only one of them releases each sleeper
            sleepers, self._sleepers = self._sleepers, []
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
