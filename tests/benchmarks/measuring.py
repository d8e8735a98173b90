"""Two sides measured in turns, and what comes of it: medians, ratios and how far they spread."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Callable

Figures = Mapping[str, float]
"""Names and values: ``rate`` in events a second (more is better), seconds or MB otherwise (less is better)."""
RATE = "events/s"
CPU = "CPU us/event"
SENT = "sent/s"


def _nothing() -> None:
    """No preparation."""


@dataclass(frozen=True)
class Case:
    """One row of the table.

    ``events``: how many a side handles, for the processor time of each, its share of the start and stop included; 0
    leaves it out.
    """

    what: str
    against: str
    ours: Callable[[], Figures]
    raw: Callable[[], Figures]
    where: str = ""
    size: int = 0
    events: int = 0
    before: Callable[[], object] = _nothing
    """Not measured, before each side: fills the queue that is read."""
    after: Callable[[], object] = _nothing
    """Not measured, after each side: empties the queue that was filled."""

    @property
    def name(self) -> str:
        """As it is printed and chosen."""
        return " ".join(part for part in (self.what, self.where, f"{self.size} B" if self.size else "") if part)


@dataclass(frozen=True)
class Row:
    """One figure of a case. ``ratios``: ours divided by the raw client's, one for each round."""

    name: str
    against: str
    figure: str
    ours: float
    raw: float
    ratios: tuple[float, ...] = field(default=())

    @property
    def ratio(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.ratios)

    @property
    def better(self) -> str:
        """Which way is better."""
        return "more" if self.figure in (RATE, SENT) else "less"


def measure(case: Case, rounds: int) -> list[Row]:
    """Run both sides of a case in turns, each first in every other round."""
    ours: list[Figures] = []
    raw: list[Figures] = []
    for number in range(rounds):
        sides = [(case.ours, ours), (case.raw, raw)]
        for side, found in sides if number % 2 else reversed(sides):
            found.append(_once(case, side))
    return [_row(case, figure, ours, raw) for figure in ours[0]]


def _once(case: Case, side: Callable[[], Figures]) -> Figures:
    case.before()
    gc.collect()
    begin = time.process_time()
    figures = dict(side())
    if case.events:
        figures[CPU] = (time.process_time() - begin) / case.events * 1e6
    case.after()
    return figures


def _row(case: Case, figure: str, ours: Sequence[Figures], raw: Sequence[Figures]) -> Row:
    return Row(
        case.name,
        case.against,
        figure,
        statistics.median(found[figure] for found in ours),
        statistics.median(found[figure] for found in raw),
        tuple(mine[figure] / theirs[figure] for mine, theirs in zip(ours, raw)),
    )


def percentiles(seconds: Sequence[float]) -> Figures:
    """The middle one, and the one that 99 of 100 stay below, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50 ms": cuts[49] * 1000, "p99 ms": cuts[98] * 1000}
