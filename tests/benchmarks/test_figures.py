"""What is not measured: sizes, turns, ratios, and the comparison with the last run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aspyx_event import EventRegistry
from aspyx_event.codec import JsonCodec
from tests.benchmarks import measuring, report
from tests.benchmarks.measuring import RATE, Case, Row
from tests.benchmarks.samples import Counting, Meter, Sample, body_of_size


@pytest.mark.parametrize("size", [16, 200, 4096])
def test_sizes(size: int) -> None:
    """Both sides send the same bytes, as many as the table says."""
    descriptor = EventRegistry().register(Counting).event_for(Sample)
    body = JsonCodec().encode(Sample.of_size(size), descriptor)
    assert len(body) == size
    assert body == body_of_size(size)


def test_turns() -> None:
    """Both sides run in every round, each first in every other one; a ratio is that of one round."""
    order: list[str] = []

    def side(name: str, rates: list[float]) -> dict[str, float]:
        order.append(name)
        return {RATE: rates.pop(0)}

    mine, theirs = [10.0, 30.0, 20.0], [5.0, 10.0, 5.0]
    case = Case("x", "y", lambda: side("ours", mine), lambda: side("raw", theirs))
    [row] = measuring.measure(case, 3)
    assert order == ["raw", "ours", "ours", "raw", "raw", "ours"]
    assert row.ratios == (2.0, 3.0, 4.0)
    assert (row.ratio, row.ours, row.raw) == (3.0, 20.0, 5.0)


def test_meter() -> None:
    """The last of the expected messages is told, and those that do not come are an error, not a figure."""
    meter = Meter(3)
    assert [meter.hit(), meter.hit(), meter.hit()] == [False, False, True]
    assert meter.rate() > 0


def test_comparison(tmp_path: Path) -> None:
    """A row is told to have changed only when no round of the one run lies among those of the other."""
    last = tmp_path / "last.json"
    kept = [Row("a", "x", RATE, 1.0, 1.0, (1.0, 1.2, 1.4)), Row("b", "x", RATE, 1.0, 1.0, (1.0, 1.2, 1.4))]
    assert "nothing to compare" in report.differences(kept, last)[0]
    report.keep(report.as_json(kept, {"date": "some day"}), last)
    assert "some day" in last.with_suffix(".txt").read_text()
    now = [Row("a", "x", RATE, 1.0, 1.0, (1.3, 1.5, 1.6)), Row("b", "x", RATE, 1.0, 1.0, (1.5, 1.6, 1.7))]
    _, same, other = report.differences([*now, Row("c", "x", RATE, 1.0, 1.0, (1.0,))], last)
    assert "no round" not in same
    assert "no round" in other


def test_the_documentation_shows_the_figures_that_are_kept(tmp_path: Path) -> None:
    """``last.txt``, which the documentation includes, is the table of ``last.json``."""
    again = tmp_path / "last.json"
    report.keep(report.LAST.read_text(encoding="utf-8"), again)
    assert json.loads(again.read_text()) == json.loads(report.LAST.read_text())
    assert again.with_suffix(".txt").read_text() == report.LAST.with_suffix(".txt").read_text()
