"""What is not measured: sizes, turns, ratios, the comparison with the last run, and what the kernel is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aspyx_event import EventRegistry
from aspyx_event.codec import JsonCodec
from tests.benchmarks import cases, guard, measuring, processes, promises, report, stages
from tests.benchmarks.curves import record
from tests.benchmarks.curves.listeners import Count
from tests.benchmarks.measuring import CPU, RATE, Case, Row
from tests.benchmarks.peers import sides
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


def test_promises() -> None:
    """Rows of all brokers and sizes are counted by what they must reach: a ratio, or what ours has more."""
    rows = [
        Row("AMQP receive artemis 16 B", "x", RATE, 3.0, 1.0, (3.0,)),
        Row("AMQP receive rabbitmq 16 B", "x", RATE, 1.0, 1.0, (1.0,)),
        Row("AMQP receive artemis 16 B", "x", CPU, 40.0, 100.0, (0.4,)),
        Row("import aspyx_event", "x", "import ms", 140.0, 100.0, (1.4,)),
        Row("import aspyx_event, with AMQPProvider", "x", "import ms", 240.0, 100.0, (2.4,)),
    ]
    found = {line[:44].strip(): line[44:].split() for line in promises.lines(rows)}
    assert found["AMQP receive"] == ["1.5", "2.5", "1.00", "-", "3.00", "1", "of", "2", "0.40", "-", "0.40"]
    assert found["import aspyx_event, import ms"] == ["<=+50", "<=+0", "40.00", "-", "40.00", "1", "of", "1"]
    assert found["STOMP receive"] == ["0.8", "1.2", "not", "measured"]


def test_promises_name_rows_that_there_are() -> None:
    """Whatever a promise is about is a row of the table, or of the modes of a peer."""
    names = {case.what for case in cases.without_broker([16], cases.Amounts())}
    names |= {mode.name for mode in sides.MODES}
    known = [promise.rows for promise in promises.PROMISES]
    assert names - {"import aspyx_event, with AMQPProvider"} == {name for name in known if name in names}


def test_guard(tmp_path: Path) -> None:
    """The processor time that is kept is printed beside the one of now, and a row that is new is no error."""
    last = tmp_path / "last.json"
    kept = [Row("a", "x", RATE, 1.0, 1.0, (1.0,)), Row("a", "x", CPU, 90.0, 100.0, (0.9,))]
    report.keep(report.as_json(kept, {"date": "some day"}), last)
    head, known, new = guard.lines(
        [Row("a", "x", CPU, 80.0, 100.0, (0.8,)), Row("b", "x", CPU, 1.0, 1.0, (1.0,))], last
    )
    assert "some day" in head
    assert known.split() == ["a", "0.90", "(", "90.0", "us)", "->", "0.80", "(", "80.0", "us)"]
    assert "not kept" in new


def test_processes() -> None:
    """A child of a child is found below both, with the processor time and the memory that it took."""
    grandchild = "import os; sum(range(3_000_000)); print(os.getpid(), flush=True); input()"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        inner = int(started.stdout.readline())
        assert {os.getpid(), started.pid, inner} <= set(processes.tree(os.getpid()))
        assert processes.tree(inner) == [inner]
        assert processes.processor_seconds([inner]) > 0
        assert 1 < processes.resident_mb(inner) < 1000
        started.communicate("\n")
    assert processes.processor_seconds([inner]) == 0


def test_count() -> None:
    """Events that do not come are an error, not a figure; the count begins anew for each round."""
    count = Count()
    for _ in range(2):
        count.expect(2)
        count.hit(None)
        count.hit(None)
        count.wait()


def test_curves_are_kept_point_by_point(tmp_path: Path) -> None:
    """A run that is interrupted leaves the points that it had."""
    file = tmp_path / "curve.json"

    def points() -> Iterator[record.Point]:
        yield {"N": 1, "us": 2.5}
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        record.keep("x", points(), brokers=[], unit="us", into=file)
    assert json.loads(file.read_text())["points"] == [{"N": 1, "us": 2.5}]


def test_the_documentation_shows_the_points_that_are_kept() -> None:
    """The table of the processes is that of the file beside it."""
    file = record.file_of("processes")
    points = json.loads(file.read_text(encoding="utf-8"))["points"]
    assert file.with_suffix(".txt").read_text(encoding="utf-8") == record.turned(points)


@pytest.mark.parametrize("kind", ["receive", "send_events"])
def test_stages(kind: str) -> None:
    """Each stage is timed around a method that there is, and has a figure of its first time."""
    timed = {"receive": stages.RECEIVE, "send_events": stages.SEND}[kind]
    first = json.loads(stages.FIRST.read_text(encoding="utf-8"))[kind]
    assert all(callable(getattr(owner, name)) for owner, name, _ in timed)
    assert set(first) == {stage for _, _, stage in timed} | {"sum"}


def test_own_time_of_a_stage() -> None:
    """The time of an inner stage is not in that of the outer one."""
    timers = stages.Timers()
    inner = timers.around(lambda: sum(range(2_000_000)), "inner")
    timers.around(inner, "outer")()
    assert timers.seconds["inner"] > timers.seconds["outer"] >= 0
