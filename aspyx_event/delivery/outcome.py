"""What became of a delivery: the record that counters, metrics and tests observe."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Callable, Optional


class Result(str, enum.Enum):
    """How a delivery ended in this process."""

    HANDLED = "handled"
    RETRIED = "retried"
    """A copy for the next attempt is confirmed in the listener's own queue."""
    DEAD_LETTERED = "dead_lettered"
    EXPIRED = "expired"
    RELEASED = "released"
    LOST = "lost"
    """Its connection broke: the broker delivers it again, to whomever."""


@dataclass(frozen=True)
class Outcome:
    """One settled delivery. ``seconds`` is the time from its first step in a worker to its settlement."""

    listener: str
    event_id: str
    result: Result
    attempt: int
    """The number of the last attempt made."""
    failures: int
    """How many attempts failed in this delivery."""
    seconds: float
    error: Optional[BaseException] = None
    reason: str = ""
    """Of a dead letter: exception, decode, unknown_event, rejected or crashed."""


Observer = Callable[[Outcome], None]
"""Called in the worker's thread after the settlement. Must not block; what it raises is logged."""
