"""The long forms: ``python -m tests.faults.load queue --events 1000000 --pair amqp/artemis``."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.faults.load import again, crowd, queue
from tests.faults.pairs import NAMES, Pair


def _say(text: object) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _run(what: str, pair: Pair, options: Any) -> object:
    with tempfile.TemporaryDirectory() as folder:
        if what == "queue":
            return queue.run(pair.url(), pair.prefix, options.events, timeout=120, say=_say)
        if what == "crowd":
            return crowd.run(pair.url(), pair.prefix, crowd.Crowd(), timeout=120)
        if what == "managers":
            return again.managers(pair, options.count, Path(folder), alive=10)
        return again.reconnects(pair, options.count, Path(folder), warm=min(100, options.count // 2))


def main() -> None:
    """Run one of them on some pairs, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.load", description=__doc__)
    parser.add_argument("what", choices=("reconnects", "managers", "crowd", "queue"))
    parser.add_argument("--pair", action="append", choices=NAMES, help="may be repeated; all by default")
    parser.add_argument("--count", type=int, default=1000, help="reconnects or managers")
    parser.add_argument("--events", type=int, default=1_000_000, help="in the queue")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)  # every reconnect is a warning
    with ExitStack() as stack:
        brokers: dict[str, Any] = {}
        for name in options.pair or NAMES:
            kind = name.partition("/")[2]
            if kind not in brokers:
                brokers[kind] = stack.enter_context(_broker(kind))
            _say(f"{options.what} on {name}: {_run(options.what, Pair.on(name, brokers[kind]), options)}")


def _broker(kind: str) -> Any:
    from tests.brokers.artemis import ArtemisBroker
    from tests.brokers.rabbitmq import RabbitMQBroker

    made = {"artemis": ArtemisBroker, "rabbitmq": RabbitMQBroker}[kind]
    made.install()
    return made()


if __name__ == "__main__":
    main()
