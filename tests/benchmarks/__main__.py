"""Measure, print, keep. See CONTRIBUTING.rst."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.benchmarks import cases, report
from tests.benchmarks.curves import __main__ as curves
from tests.benchmarks.measuring import Case, Row, measure
from tests.brokers import Broker
from tests.brokers.artemis import ArtemisBroker
from tests.brokers.rabbitmq import RabbitMQBroker

BROKERS: dict[str, type[Broker]] = {"artemis": ArtemisBroker, "rabbitmq": RabbitMQBroker}
LEAST_ROUNDS = 5


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--broker", action="append", choices=[*BROKERS, "none"], help="default: all, and none")
    parser.add_argument("--size", action="append", type=int, help="bytes of a body; default: 16, 200 and 4096")
    parser.add_argument("--only", action="append", metavar="TEXT", help="rows whose name holds this")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help="default: %(default)s")
    parser.add_argument("--quick", type=int, default=1, metavar="N", help="an N-th of the events")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--save", action="store_true", help="keep them as the last ones, in the repository")
    parser.add_argument("--compare", action="store_true", help="print the difference to the last ones")
    found = parser.parse_args(given)
    if found.save and found.compare:
        parser.error("--save overwrites what --compare compares with")
    if found.save and (found.rounds < LEAST_ROUNDS or found.quick > 1 or found.only or found.size or found.broker):
        parser.error(f"--save keeps a whole run of {LEAST_ROUNDS} rounds or more")
    if any(size < 16 for size in found.size or ()):
        parser.error("--size: the smallest body has 16 bytes")
    return found


def _cases(kinds: Iterable[str], sizes: Sequence[int], amounts: cases.Amounts) -> Iterator[Case]:
    for kind in kinds:
        if kind == "none":
            yield from cases.without_broker(sizes, amounts)
            continue
        BROKERS[kind].install()
        with BROKERS[kind]() as broker:  # one at a time: they share the processors
            yield from cases.of_broker(broker, sizes, amounts)


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(given: Sequence[str]) -> int:
    """Return the exit code: 0 also when something has become slower, which a shared machine cannot tell."""
    if given[:1] == ["curves"]:
        return curves.main(given[1:])
    wanted = _arguments(given)
    kinds = list(dict.fromkeys(wanted.broker or [*BROKERS, "none"]))
    about = report.circumstances(kind for kind in kinds if kind != "none")
    _write("\n".join(f"{key}: {value}" for key, value in about.items()))
    _write(f"\n{report.HEAD}")
    rows: list[Row] = []
    for case in _cases(kinds, wanted.size or [16, 200, 4096], cases.Amounts().divided(wanted.quick)):
        if wanted.only and not any(text in case.name for text in wanted.only):
            continue
        for row in measure(case, wanted.rounds):
            rows.append(row)
            _write(report.line(row))
        if wanted.json:  # after each case: a run takes long, and may be interrupted
            wanted.json.write_text(report.as_json(rows, about), encoding="utf-8")
    if wanted.save:
        report.keep(report.as_json(rows, about))
    if wanted.compare:
        _write("\n" + "\n".join(report.differences(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
