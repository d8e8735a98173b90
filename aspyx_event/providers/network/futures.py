"""Futures that somebody else may cancel at any moment."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

from aspyx_event.timing import Deadline

_STEP = 0.5

T = TypeVar("T")


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
