"""How many deliveries a listener may hold."""

from __future__ import annotations

AHEAD = 0.1
"""Seconds of work to have at hand."""
MAXIMUM = 512


def initial_credit(concurrency: int, prefetch: int | None) -> int:
    """The credit to start with: the configured one, or twice the concurrency."""
    return prefetch if prefetch is not None else min(MAXIMUM, 2 * concurrency)


def adapted_credit(concurrency: int, seconds_each: float) -> int:
    """About 100 ms of work at the measured time per delivery, between twice the concurrency and 512."""
    floor = min(MAXIMUM, 2 * concurrency)
    if seconds_each <= 0:
        return MAXIMUM
    return max(floor, int(min(MAXIMUM, AHEAD * concurrency / seconds_each)))
