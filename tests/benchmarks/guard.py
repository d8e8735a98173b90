"""A minute's look at whether an event has become dearer: `python -m tests.benchmarks.guard [FILE]`. FILE gets it, too.

Compares processor time, ours divided by the raw client's, with what ``last.json`` keeps. It is no judge: a machine that
others use cannot tell a change from its neighbours. Only a benchmark that does not run is an error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import cases, report
from tests.benchmarks.measuring import CPU, Case, Row, measure
from tests.brokers import BrokerUnavailable
from tests.brokers.artemis import ArtemisBroker

_SIZE = 200
_ROUNDS = 3
_ROWS = ("AMQP receive", "AMQP send_events", "LocalProvider")


def _of_artemis() -> Iterator[Case]:
    ArtemisBroker.install()
    with ArtemisBroker() as broker:
        yield from cases.of_broker(broker, [_SIZE], cases.Amounts())


def _rows(found: Iterator[Case]) -> list[Row]:
    chosen = (case for case in found if case.what.startswith(_ROWS))
    return [row for case in chosen for row in measure(case, _ROUNDS) if row.figure == CPU]


def lines(rows: list[Row], last: Path = report.LAST) -> list[str]:
    """What is printed: a line for each row."""
    kept = json.loads(last.read_text(encoding="utf-8"))
    before = {row["name"]: row for row in kept["rows"] if row["figure"] == CPU}
    found = [f"benchmarks: processor time of an event, ours / raw client's; {kept['about']['date']} -> now"]
    for row in rows:
        then = before.get(row.name)
        was = f"{then['ratio']:5.2f} ({then['ours']:6.1f} us)" if then else f"{'not kept':17}"
        found.append(f"  {row.name:32}{was} -> {row.ratio:5.2f} ({row.ours:6.1f} us)")
    return found


def main(arguments: list[str]) -> int:
    """Return 0, whatever the figures are."""
    rows = _rows(cases.without_broker([_SIZE], cases.Amounts()))
    try:
        rows = [*_rows(_of_artemis()), *rows]
    except BrokerUnavailable as error:
        if os.environ.get("ASPYX_REQUIRE_BROKERS") == "1":
            raise
        sys.stdout.write(f"without Artemis: {error}\n")
    text = "\n".join(lines(rows)) + "\n"
    sys.stdout.write(text)
    for name in arguments[:1]:
        Path(name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
