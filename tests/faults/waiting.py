"""Waiting for what comes in its own time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Union

from aspyx_event.timing import Deadline

PATIENCE = 60.0


def wait_until(
    condition: Callable[[], object], what: Union[str, Callable[[], object]], *, timeout: float = PATIENCE
) -> None:
    """Look again and again until it holds; else AssertionError with ``what``, or with what it says then."""
    pause, deadline = threading.Event(), Deadline(timeout)
    while not condition():
        assert not deadline.passed, f"not within {timeout:g} s: {what() if callable(what) else what}"
        pause.wait(0.05)
