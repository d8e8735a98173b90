"""Measure one curve, and keep it: `python -m tests.benchmarks curves NAME`. See CONTRIBUTING.rst."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.curves import depth, listeners, long_run, processes, record
from tests.benchmarks.curves.record import Point
from tests.brokers import Broker
from tests.brokers.artemis import ArtemisBroker
from tests.brokers.rabbitmq import RabbitMQBroker

BROKERS: dict[str, type[Broker]] = {"artemis": ArtemisBroker, "rabbitmq": RabbitMQBroker}
DEPTHS = (0, 10_000, 100_000, 1_000_000)
COUNTS = (1, 10, 100, 500)
_UNITS = {
    "listeners": "processor time of an event, sent and handled",
    "depth": "least time and best rate of three rounds at each depth",
    "time": "one process that sends and handles",
    "processes": "consumers of one queue, and nobody sends",
}


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks curves", description=__doc__)
    parser.add_argument("curve", choices=[*_UNITS, "plot"], help="plot: draw what was measured, into docs/images")
    parser.add_argument("--broker", action="append", choices=list(BROKERS), help="default: both; of time: Artemis")
    parser.add_argument("--minutes", type=float, default=30.0, help="of time: how long (default: %(default)s)")
    parser.add_argument("--every", type=float, default=10.0, help="of time: seconds between points")
    parser.add_argument("--depth", action="append", type=int, help=f"default: {', '.join(map(str, DEPTHS))}")
    parser.add_argument("--events", type=int, default=10_000, help="measured at each point (default: %(default)s)")
    parser.add_argument("--size", type=int, default=200, help="bytes of a body (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="instead of the file beside last.json")
    return parser.parse_args(given)


def _points(wanted: argparse.Namespace, kinds: Sequence[str]) -> Iterator[Point]:
    if wanted.curve == "listeners":
        yield from listeners.local_points(COUNTS, total=wanted.events, size=wanted.size)
    for kind in kinds:
        BROKERS[kind].install()
        with BROKERS[kind]() as broker:  # one at a time: they share the processors
            if wanted.curve == "listeners":
                yield from listeners.points(broker, COUNTS, total=wanted.events, size=wanted.size)
            elif wanted.curve == "depth":
                depths = wanted.depth or DEPTHS
                yield from depth.points(broker, depths, total=wanted.events // 2, size=wanted.size)
            elif wanted.curve == "time":
                yield from long_run.points(broker, wanted.minutes, every=wanted.every, size=wanted.size)
            else:
                yield from processes.points(broker, total=wanted.events, size=wanted.size)


def main(given: Sequence[str]) -> int:
    """Measure and keep, or draw."""
    wanted = _arguments(given)
    if wanted.curve == "plot":
        from tests.benchmarks.curves import drawing

        return drawing.draw()
    kinds = wanted.broker or (["artemis"] if wanted.curve == "time" else list(BROKERS))
    record.keep(
        wanted.curve,
        _points(wanted, kinds),
        brokers=kinds,
        unit=_UNITS[wanted.curve],
        into=wanted.json,
        as_table=wanted.curve == "processes",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
