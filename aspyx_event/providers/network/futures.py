"""Futures that somebody else may cancel at any moment."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from typing import Any


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
