"""One actor of Dramatiq, with its defaults but for what a mode says."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from tests.benchmarks.peers.options import CONFIRM, URL, Done, is_set

dramatiq.set_broker(RabbitmqBroker(url=os.environ[URL] + "/%2F", confirm_delivery=is_set(CONFIRM)))
_done = Done()


def handle(n: int, t: str) -> None:
    """Count it."""
    _done()


send = dramatiq.actor(handle).send
