"""A listener that only fails gets one probe at a time."""

from __future__ import annotations

FAILURES_IN_A_ROW = 10
PROBE_EVERY = 5.0


class Throttle:
    """Counts events in a row whose listener raised. Not thread-safe: its listener's lock guards it.

    From the tenth on it is closed for 5 s after each failure, and lets one delivery through at a time, until one
    succeeds. A retry that fails again does not bring the throttle about: those that became due in an outage come one
    after the other, and would stop a healthy listener for 5 s each (measured).
    """

    __slots__ = ("_failures", "_opens_at", "active")

    def __init__(self) -> None:
        self._failures = 0
        self._opens_at = 0.0
        self.active = False
        """Whether the listener is being probed."""

    @property
    def failing(self) -> bool:
        """Whether a success would change anything."""
        return self._failures > 0 or self.active

    def failed(self, now: float, *, again: bool = False) -> bool:
        """A delivery whose listener raised, ``again`` for a retry; True when the throttle became active by it."""
        was_active = self.active
        if not again:
            self._failures += 1
        self.active = self._failures >= FAILURES_IN_A_ROW
        if self.active:
            self._opens_at = now + PROBE_EVERY
        return self.active and not was_active

    def succeeded(self) -> bool:
        """A delivery that was handled; True when the throttle was active until now."""
        was_active = self.active
        self._failures = 0
        self._opens_at = 0.0
        self.active = False
        return was_active

    def closed_for(self, now: float) -> float:
        """Seconds until the next delivery may start; 0 when it may now."""
        return max(0.0, self._opens_at - now) if self.active else 0.0
