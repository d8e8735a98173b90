"""The storm in its long form: ``python -m tests.faults --minutes 20 --seed 7``."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from tests.brokers import Broker
from tests.brokers.artemis import ArtemisBroker
from tests.brokers.rabbitmq import RabbitMQBroker
from tests.faults.pairs import NAMES, Pair
from tests.faults.storm.report import Result, show
from tests.faults.storm.runner import Storm
from tests.faults.storm.schedule import LONG, SHORT

_BROKERS: dict[str, type[Broker]] = {"artemis": ArtemisBroker, "rabbitmq": RabbitMQBroker}

_WIDTH = 160


def main() -> int:
    """Return 1 when something is lost, or is not as promised in another way."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    folder = Path(tempfile.mkdtemp(prefix="storm-"))

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say(f"seed {options.seed}, logs and ledgers in {folder}")
    kinds, seconds = (SHORT, 0.0) if options.short else (LONG, options.minutes * 60 / len(options.pair))
    results: list[Result] = []
    with ExitStack() as stack:
        brokers: dict[str, Broker] = {}
        for name in options.pair:
            kind = name.partition("/")[2]
            if kind not in brokers:
                brokers[kind] = stack.enter_context(_BROKERS[kind]())
            place = folder / name.replace("/", "-")
            place.mkdir()
            storm = Storm(Pair.on(name, brokers[kind]), options.seed, place, rate=options.rate, say=say)
            results.append(storm.run(kinds, seconds=seconds))
            say(str(results[-1]))
    show(results, console)
    say(f"seed {options.seed}")
    return int(any(result.troubles or result.account.lost for result in results))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--minutes",
        type=float,
        default=20.0,
        help="in all, shared among the pairs; each goes through all faults at least once, in about 4 minutes",
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of the faults")
    parser.add_argument("--pair", nargs="+", choices=NAMES, default=list(NAMES), help="by default all of them")
    parser.add_argument("--short", action="store_true", help="the faults of the normal run, once, instead")
    parser.add_argument("--rate", type=float, default=10.0, help="events a second of each of the 9 sending threads")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
