"""What the library is to reach, and how far it is: a line for each kind of row, over all brokers and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.measuring import CPU, RATE, Row


@dataclass(frozen=True)
class Promise:
    """Rows that are called so, before broker and size; one figure of them; what it must reach, and what we aim at.

    ``more``: ratios from that number on are good; otherwise up to it. ``added``: what counts is not the ratio, but what
    ours has more.
    """

    rows: str
    figure: str
    must: float
    aim: float
    more: bool = True
    added: bool = False

    def value(self, row: Row) -> float:
        """What counts in a row: the median ratio, or the difference."""
        return row.ours - row.raw if self.added else row.ratio

    def kept(self, value: float, limit: float) -> bool:
        """Whether a value reaches a limit."""
        return value >= limit if self.more else value <= limit


PEERS, POOLS, MODES = ("Celery", "Dramatiq"), ("threads", "processes"), ("defaults", "confirmed")
PROMISES = (
    Promise("AMQP receive", RATE, 1.5, 2.5),
    Promise("AMQP send_events", RATE, 1.5, 3),
    Promise("AMQP send_event, one thread", RATE, 0.8, 1),
    Promise("AMQP send_event, 16 threads", RATE, 0.7, 1),
    Promise("STOMP receive", RATE, 0.8, 1.2),
    Promise("STOMP send_events", RATE, 0.7, 1),
    Promise("LocalProvider, end to end", RATE, 0.5, 0.8),
    Promise("AMQP latency at 500/s", "p99 ms", 1.5, 1.1, more=False),
    *(Promise(f"{peer}, {pool}, {mode}", RATE, 4, 8) for peer in PEERS for pool in POOLS for mode in MODES),
    Promise("import aspyx_event", "import ms", 50, 0, more=False, added=True),
    Promise("memory at rest", "MB", 15, 0, more=False, added=True),
    Promise("memory of 10000 sends", "MB", 15, 0, more=False, added=True),
    Promise("memory of 10000 received", "MB", 15, 0, more=False, added=True),
)
_HEAD = f"{'medians, over all brokers and sizes':44}{'must':>7}{'aim':>7}{'found':>17}{'reached':>12}{'CPU ratio':>15}"


def lines(rows: Sequence[Row]) -> list[str]:
    """A table; a promise that nothing was measured for says so."""
    return [_HEAD, *(_line(promise, rows) for promise in PROMISES)]


def _line(promise: Promise, rows: Sequence[Row]) -> str:
    begin = f"{promise.rows + _what(promise):44}{_limit(promise, promise.must):>7}{_limit(promise, promise.aim):>7}"
    found = [promise.value(row) for row in _chosen(promise, promise.figure, rows)]
    if not found:
        return f"{begin}{'not measured':>17}"
    reached = sum(promise.kept(value, promise.must) for value in found)
    processor = [row.ratio for row in _chosen(promise, CPU, rows)]
    return f"{begin}{_span(found):>17}{f'{reached} of {len(found)}':>12}{_span(processor):>15}".rstrip()


def _what(promise: Promise) -> str:
    return f", {promise.figure}" if promise.figure != RATE else ""


def _limit(promise: Promise, limit: float) -> str:
    return f"{'' if promise.more else '<='}{'+' if promise.added else ''}{limit:g}"


def _chosen(promise: Promise, figure: str, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if f"{row.name} ".startswith(f"{promise.rows} ") and row.figure == figure]


def _span(values: Sequence[float]) -> str:
    return f"{min(values):.2f} - {max(values):.2f}" if values else ""
