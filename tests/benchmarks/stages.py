"""Where the processor time of an event goes, stage by stage: `python -m tests.benchmarks.stages`.

Timers around a few methods of the library, by the clock of each thread, so that what others do on the machine does not
count. The time of an inner stage is not in that of the outer one. A timer itself costs about half a microsecond, which
is in the stage around it.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aspyx_event.codec import JsonCodec
from aspyx_event.delivery.attempt import Attempts
from aspyx_event.delivery.sender import Sender
from aspyx_event.delivery.settlement import Settlement
from aspyx_event.delivery.worker import ListenerWorker
from aspyx_event.pipeline import PipelineChain
from aspyx_event.providers.amqp import mapping
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.delivery import AMQPDelivery, AMQPSubscription
from aspyx_event.providers.amqp.engine import Engine
from aspyx_event.providers.amqp.sending import Outbox
from tests.benchmarks import ours, raw_proton
from tests.benchmarks.samples import Counting, Place, place
from tests.brokers.artemis import ArtemisBroker

Stages = list[tuple[Any, str, str]]
FIRST = Path(__file__).with_name("stages_first.json")
"""What these stages took before anything was done about them, in November 2026: the lower of two runs."""

RECEIVE: Stages = [
    (Connection, "_loop", "I/O thread: socket, selector"),
    (Engine, "receive", "I/O thread: proton, bytes to deliveries"),
    (Engine, "pump", "I/O thread: proton, bytes to deliveries"),
    (Engine, "output", "I/O thread: proton, to bytes"),
    (AMQPSubscription, "received", "I/O thread: hand-over to workers"),
    (Connection, "settle_all", "I/O thread: settlements, credit"),
    (ListenerWorker, "_turn", "worker: inbox, outcome, counters"),
    (AMQPDelivery, "read", "worker: decode the AMQP message"),
    (Attempts, "run", "worker: envelope, context"),
    (JsonCodec, "decode", "worker: JSON to a validated event"),
    (PipelineChain, "handle", "worker: pipelines"),
    (Counting, "on", "worker: the listener"),
    (Settlement, "settle", "worker: accept"),
]
SEND: Stages = [
    (Sender, "send_all", "caller: loop, waiting for confirmations"),
    (Sender, "begin", "caller: envelope, pipelines"),
    (Sender, "_attributes", "caller: CloudEvents attributes"),
    (JsonCodec, "encode", "caller: event to JSON"),
    (mapping, "encode", "caller: encode the AMQP message"),
    (Outbox, "post", "caller: hand-over to the I/O thread"),
    (Connection, "_loop", "I/O thread: socket, selector"),
    (Outbox, "flush", "I/O thread: messages to links"),
    (Engine, "receive", "I/O thread: proton, bytes to outcomes"),
    (Engine, "pump", "I/O thread: proton, bytes to outcomes"),
    (Engine, "output", "I/O thread: proton, to bytes"),
]


class Timers:
    """Own time of each stage, over all threads."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._here = threading.local()
        self._lock = threading.Lock()

    def around(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """The same function, timed."""

        def timed(*arguments: Any, **named: Any) -> Any:
            inner = self._here.__dict__.setdefault("inner", [0.0])
            inner.append(0.0)
            begin = time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                took = time.thread_time() - begin
                own = took - inner.pop()
                inner[-1] += took
                with self._lock:
                    self.seconds[stage] += own

        return timed

    @contextmanager
    def on(self, stages: Stages) -> Iterator[None]:
        """Time these, and leave everything as it was."""
        with ExitStack() as stack:
            for owner, name, stage in stages:
                stack.enter_context(patch.object(owner, name, self.around(getattr(owner, name), stage)))
            yield


def measure(stages: Stages, run: Callable[[], object], total: int) -> dict[str, float]:
    """Microseconds an event for each stage, and their sum."""
    timers = Timers()
    with timers.on(stages):
        run()
    names = dict.fromkeys(stage for _, _, stage in stages)
    found = {name: timers.seconds[name] / total * 1e6 for name in names}
    return {**found, "sum": sum(found.values())}


def table(kind: str, first: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    """What the stages took when they were measured first, and take now."""
    head = f"{kind:45}{'first':>8}{'now':>8}"
    return [head, *(f"{name:45}{first.get(name, 0.0):8.1f}{took:8.1f}" for name, took in now.items())]


def _runs(at: Place, total: int, size: int) -> Iterator[dict[str, dict[str, float]]]:
    ours.declare(at)
    ours.send_many(at, total, size)  # everything is imported and warm after this
    ours.receive(at, total)
    while True:
        sent = measure(SEND, lambda: ours.send_many(at, total, size), total)
        raw_proton.receive(at, total)
        ours.send_many(at, total, size)
        yield {"receive": measure(RECEIVE, lambda: ours.receive(at, total), total), "send_events": sent}


def main() -> int:
    """Print both tables, measured on Artemis, and keep them when asked to."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stages", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=200, help="bytes of a body")
    parser.add_argument("--runs", type=int, default=5, help="of which the one with the lowest sum is shown")
    parser.add_argument("--save", action="store_true", help="keep the tables for the documentation")
    wanted = parser.parse_args()
    ArtemisBroker.install()
    with ArtemisBroker() as broker:
        runs = list(islice(_runs(place("amqp", broker), wanted.events, wanted.size), wanted.runs))
    first = json.loads(FIRST.read_text(encoding="utf-8"))
    lines = [f"processor time, us an event; measured {datetime.now(timezone.utc):%Y-%m-%d}"]
    for kind in ("receive", "send_events"):
        lowest = min((run[kind] for run in runs), key=lambda found: found["sum"])
        lines += ["", *table(kind, first[kind], lowest)]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if wanted.save:
        FIRST.with_name("stages.txt").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
