"""What EventHarness raises, and what it tells of events that failed."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aspyx_event.delivery.dead_letters import text_of


class HarnessError(Exception):
    """The harness, or its clock, is used in a way that cannot work. The message says what to do instead."""


class StillBusy(HarnessError):
    """Listeners have not come to rest in time."""


@dataclass(frozen=True)
class FailedEvent:
    """An event that a listener failed on.

    event: as the listener got it; None where its body could not be decoded. reason: as in DeadLetter; ``""`` for one
    that would have been tried again. attempts: how many there were. error: what the last one raised.
    """

    listener: str
    event: Any
    event_id: str
    reason: str
    attempts: int
    error: BaseException

    def __str__(self) -> str:
        what = self.event_id if self.event is None else repr(self.event)
        attempts = f"{self.attempts} attempt{'s' if self.attempts != 1 else ''}"
        end = f"is in the error queue after {attempts}, reason {self.reason!r}"
        if not self.reason:
            end = f"would be tried again after {attempts}"
        frames = traceback.extract_tb(self.error.__traceback__)
        where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
        return f"{self.listener}: {what} {end}: {type(self.error).__name__}: {text_of(self.error)}{where}"


class HarnessFailure(AssertionError):
    """Listeners failed, and the test did not look at ``harness.errors``.

    ``failures`` has them all; the first one's exception is the cause of this one.
    """

    def __init__(self, failures: Sequence[FailedEvent]) -> None:
        count = f"{len(failures)} events" if len(failures) != 1 else "an event"
        lines = "".join(f"\n  {failure}" for failure in failures)
        super().__init__(f"{count} failed, and the test did not look at harness.errors:{lines}")
        self.failures = tuple(failures)
