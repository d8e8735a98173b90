"""The log lines about what became of deliveries: each failure has one, until there are too many to be read."""

from __future__ import annotations

import logging
import threading
from typing import Callable

from aspyx_event.delivery.outcome import Outcome, Result
from aspyx_event.envelope import shown
from aspyx_event.timing import Scheduler

logger = logging.getLogger(__name__)

LINES = 10
WINDOW = 60.0
"""So many lines of a kind a listener may write within so many seconds; what is beyond is counted in one line."""
_ALWAYS_LOGGED = (Result.RETRIED, Result.DEAD_LETTERED, Result.EXPIRED)


class LineLimit:
    """Lets the first lines of a window through, and counts the others. Thread-safe.

    summary(count, last): called with what was held back, at the end of the window, on the scheduler's thread.
    """

    def __init__(self, scheduler: Scheduler, summary: Callable[[int, str], None]) -> None:
        self._scheduler = scheduler
        self._summary = summary
        self._lock = threading.Lock()
        self._open = False
        self._written = 0
        self._held_back = 0
        self._last = ""

    def admit(self, what: str, *, quiet: bool = False) -> bool:
        """Whether a line may be written now; else ``what`` is remembered for the summary. ``quiet``: it may not."""
        with self._lock:
            fresh, self._open = not self._open, True
            allowed = not quiet and self._written < LINES
            if allowed:
                self._written += 1
            else:
                self._held_back, self._last = self._held_back + 1, what
        if fresh:
            self._scheduler.call_later(WINDOW, self.end_window, daemon=True)
        return allowed

    def end_window(self) -> None:
        """Sum up what was held back, and begin anew."""
        with self._lock:
            count, last = self._held_back, self._last
            self._open, self._written, self._held_back = False, 0, 0
        if count:
            self._summary(count, last)


class OutcomeLog:
    """Writes the lines of one listener: WARNING for retries, ERROR for dead letters, INFO for expired events."""

    def __init__(self, listener: str, scheduler: Scheduler) -> None:
        self._listener = listener
        self._retries = LineLimit(scheduler, self._sum(logging.WARNING, "more events failed and will be tried again"))
        self._dead = LineLimit(scheduler, self._sum(logging.ERROR, "more events are in the error queue"))
        self._expired = LineLimit(scheduler, self._sum(logging.INFO, "more events have expired"))

    def _sum(self, level: int, text: str) -> Callable[[int, str], None]:
        def summary(count: int, last: str) -> None:
            logger.log(level, "listener %s: %d %s, the last: %s", self._listener, count, text, last)

        return summary

    @staticmethod
    def silent(result: Result) -> bool:
        """Whether such an outcome leaves no line, so that none has to be made for it."""
        return result not in _ALWAYS_LOGGED and not logger.isEnabledFor(logging.DEBUG)

    def write(self, outcome: Outcome, *, delay: float, throttled: bool) -> None:
        """Log an outcome. ``delay``: seconds until the next attempt. While ``throttled``, retries are only counted."""
        error = type(outcome.error).__name__
        if outcome.result is Result.RETRIED:
            if self._retries.admit(f"{shown(outcome.event_id)} ({error})", quiet=throttled):
                logger.warning(
                    "listener %s: attempt %d for event %s failed with %s; the next in %.1f s",
                    self._listener, outcome.attempt, shown(outcome.event_id), error, delay,
                )  # fmt: skip
        elif outcome.result is Result.DEAD_LETTERED:
            if self._dead.admit(f"{shown(outcome.event_id)} ({outcome.reason}: {error})"):
                logger.error(
                    "listener %s: event %s is in the error queue after %d attempts (%s): %s",
                    self._listener, shown(outcome.event_id), outcome.attempt, outcome.reason, error,
                )  # fmt: skip
        elif outcome.result is Result.EXPIRED:
            if self._expired.admit(shown(outcome.event_id)):
                logger.info("listener %s: event %s has expired", self._listener, shown(outcome.event_id))
        else:
            logger.debug("listener %s: event %s %s", self._listener, shown(outcome.event_id), outcome.result.value)

    def close(self) -> None:
        """The listener ends: sum up what is left."""
        for limit in (self._retries, self._dead, self._expired):
            limit.end_window()
