"""How many deliveries a listener may hold."""

from __future__ import annotations

AHEAD = 0.1
"""Seconds of work to have at hand."""
MAXIMUM = 512
MEASURED_EVERY = 32


def adapted_credit(concurrency: int, seconds_each: float) -> int:
    """About 100 ms of work at the measured time per delivery, between twice the concurrency and 512."""
    floor = min(MAXIMUM, 2 * concurrency)
    if seconds_each <= 0:
        return MAXIMUM
    return max(floor, int(min(MAXIMUM, AHEAD * concurrency / seconds_each)))


class Credit:
    """The credit of one listener. Races between its workers cost accuracy, nothing else.

    A configured ``prefetch`` is never changed. Otherwise the credit follows the measured rate, and deliveries that wait
    behind another one of their key come on top, up to 512: a backlog of one key must not keep away all others.
    """

    __slots__ = ("_base", "_concurrency", "_fixed", "_measured", "_seconds_each", "current", "fits")

    def __init__(self, concurrency: int, prefetch: int | None) -> None:
        self._concurrency = concurrency
        self._fixed = prefetch is not None
        self._base = prefetch if prefetch is not None else min(MAXIMUM, 2 * concurrency)
        self._seconds_each = 0.0
        self._measured = 0
        self.fits = -1
        """With so many waiting behind their key it is near enough. -1: it has to be looked at."""
        self.current = self._base
        """What the subscription was told last."""

    def measured(self, seconds: float) -> None:
        """A delivery was handled in so many seconds."""
        self._seconds_each += (seconds - self._seconds_each) / 16
        self._measured += 1
        if not self._fixed and self._measured % MEASURED_EVERY == 0:
            self._base, self.fits = adapted_credit(self._concurrency, self._seconds_each), -1

    def change(self, parked: int) -> int | None:
        """The credit to set now, with so many deliveries waiting behind their key; None: it is near enough."""
        wanted = self._base if self._fixed else min(MAXIMUM, self._base + parked)
        free = self.current - parked
        if wanted == self.current or self._base * 3 <= free * 4 <= self._base * 5:
            self.fits = parked
            return None
        self.fits = -1
        self.current = wanted
        return wanted
