"""The stages over STOMP: `python -m tests.benchmarks.stomp_stages`. See stages."""

from __future__ import annotations

import argparse
import sys

from aspyx_event.codec import JsonCodec
from aspyx_event.delivery.attempt import Attempts
from aspyx_event.delivery.sender import Sender
from aspyx_event.delivery.settlement import Settlement
from aspyx_event.delivery.worker import ListenerWorker
from aspyx_event.pipeline import PipelineChain
from aspyx_event.providers.stomp import encoding, publisher
from aspyx_event.providers.stomp.delivery import StompDelivery
from aspyx_event.providers.stomp.dialects.artemis import ArtemisDialect
from aspyx_event.providers.stomp.link import Link
from aspyx_event.providers.stomp.outbox import Outbox
from aspyx_event.providers.stomp.stream import Stream
from aspyx_event.providers.stomp.subscription import StompSubscription
from aspyx_event.providers.stomp.wire import Wire
from tests.benchmarks import ours, raw_stomp
from tests.benchmarks.samples import Counting, Place, place
from tests.benchmarks.stages import Stages, measure
from tests.brokers.artemis import ArtemisBroker

_IO: Stages = [
    (Link, "pump", "writing thread: loop, heartbeats"),
    (Outbox, "take", "writing thread: waiting"),
    (Stream, "write", "writing thread: socket"),
    (Wire, "_read", "reading thread: where frames end"),
    (Stream, "read", "reading thread: socket"),
    (encoding, "read", "reading thread: bytes to frames"),
]
RECEIVE: Stages = [
    *_IO,
    (Link, "_on_frames", "reading thread: by subscription"),
    (StompSubscription, "_received", "reading thread: deliveries, flow control"),
    (StompSubscription, "_hand_over", "hand-over to workers"),
    (ListenerWorker, "on_delivery", "hand-over to workers"),
    (ListenerWorker, "_turn", "worker: inbox, outcome, counters"),
    (StompDelivery, "read", "worker: frame to envelope"),
    (Attempts, "run", "worker: envelope, context"),
    (JsonCodec, "decode", "worker: JSON to a validated event"),
    (PipelineChain, "handle", "worker: pipelines"),
    (Counting, "on", "worker: the listener"),
    (Settlement, "settle", "worker: accept"),
    (StompSubscription, "settle", "worker: accept"),
    (Link, "acknowledge", "worker: write an ACK"),
]
SEND: Stages = [
    *_IO,
    (Sender, "send_all", "caller: loop, waiting for confirmations"),
    (Sender, "begin", "caller: envelope, pipelines"),
    (Sender, "_attributes", "caller: CloudEvents attributes"),
    (JsonCodec, "encode", "caller: event to JSON"),
    (ArtemisDialect, "publication", "caller: headers"),
    (publisher.Publisher, "send", "caller: publisher"),
    (encoding, "send", "caller: encode a SEND"),
    (Link, "publish", "caller: hand-over to the writing thread"),
    (encoding, "receipts", "reading thread: bytes to receipts"),
    (Link, "_on_receipts", "reading thread: receipts"),
    (publisher.Publisher, "confirmed", "reading thread: receipts"),
    (publisher, "resolve", "reading thread: confirmations"),
]


def _lowest(stages: Stages, at: Place, total: int, size: int, runs: int) -> list[str]:
    found = []
    for _ in range(runs):
        if stages is RECEIVE:
            ours.send_many(at, total, size)
            found.append(measure(stages, lambda: ours.receive(at, total), total))
        else:
            found.append(measure(stages, lambda: ours.send_many(at, total, size), total))
            raw_stomp.receive(at, total)
    lowest = min(found, key=lambda run: run["sum"])
    return [f"{name:45}{took:8.1f}" for name, took in lowest.items()]


def main() -> int:
    """Print both tables, measured on Artemis."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stomp_stages", description=__doc__)
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--size", type=int, default=200, help="bytes of a body")
    parser.add_argument("--runs", type=int, default=3, help="of which the one with the lowest sum is shown")
    wanted = parser.parse_args()
    ArtemisBroker.install()
    with ArtemisBroker() as broker:
        at = place("stomp", broker)
        ours.declare(at)
        for name, stages in (("receive", RECEIVE), ("send_events", SEND)):
            lines = _lowest(stages, at, wanted.events, wanted.size, wanted.runs)
            sys.stdout.write("\n".join([f"{name}, us an event", *lines]) + "\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
