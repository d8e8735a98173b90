"""The decision after a failed attempt: a pure function."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from aspyx_event.exceptions import Reject, Retry
from aspyx_event.retry import RetryPolicy


class Action(enum.Enum):
    """What to do with a delivery."""

    ACCEPT = "accept"
    RELEASE = "release"
    IN_PLACE = "in place"
    """The next attempt follows in the same worker, after the delay."""
    LATER = "later"
    """The next attempt comes from the listener's queue, after the delay."""
    DEAD = "dead"


REASON_EXCEPTION = "exception"
REASON_DECODE = "decode"
REASON_UNKNOWN_EVENT = "unknown_event"
REASON_REJECTED = "rejected"
REASON_CRASHED = "crashed"


class Poison(Exception):
    """A message that no further attempt can make better; ``error`` is what is wrong with it."""

    def __init__(self, reason: str, error: BaseException) -> None:
        super().__init__(str(error))
        self.reason = reason
        self.error = error


@dataclass(frozen=True)
class Verdict:
    """An action with what it needs: seconds of delay, the reason of a dead letter."""

    action: Action
    delay: float = 0.0
    reason: str = ""


ACCEPT = Verdict(Action.ACCEPT)
EXPIRED = Verdict(Action.ACCEPT, reason="expired")
RELEASE = Verdict(Action.RELEASE)


def judge(error: BaseException, attempt: int, policy: RetryPolicy) -> Verdict:
    """What follows the failure of attempt number ``attempt`` (from 1) with ``error``.

    Only chance, in the jitter of a delay, makes two calls differ.
    """
    if isinstance(error, Poison):
        return Verdict(Action.DEAD, reason=error.reason)
    if isinstance(error, Reject):
        return Verdict(Action.DEAD, reason=REASON_REJECTED)
    asked = isinstance(error, Retry)
    if attempt >= policy.max_attempts or not (asked or policy.covers(error)):
        return Verdict(Action.DEAD, reason=REASON_EXCEPTION)
    if isinstance(error, Retry):
        return Verdict(Action.LATER, policy.delayed_pause(attempt) if error.delay is None else error.delay)
    if policy.on_the_spot(attempt):
        return Verdict(Action.IN_PLACE, policy.immediate_pause(attempt))
    return Verdict(Action.LATER, policy.delayed_pause(attempt))
