"""Processes that declare the same thing at the same moment, which RabbitMQ's management does not expect."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import pytest

from aspyx_event.provider import Provider
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_envelope, an_event, unique
from tests.integrations.amqp_rabbitmq.conftest import Make

pytestmark = pytest.mark.rabbitmq

ROUNDS = 15


def at_once(*actions: Callable[[], object]) -> None:
    """Run them at the same moment; raise what one of them raises."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> None:
        barrier.wait(TIMEOUT)
        action()

    with ThreadPoolExecutor(len(actions)) as pool:
        for future in [pool.submit(run, action) for action in actions]:
            future.result(TIMEOUT)


def test_declaring_at_once(make: Make) -> None:
    """Processes that start together declare error queue and listener together, and none of them fails."""
    providers = [make() for _ in range(4)]
    for _ in range(ROUNDS):
        listener, queue = a_listener(an_event()), unique("errors")

        def declare(provider: Provider, listener: object = listener, queue: str = queue) -> None:
            provider.declare(queue, timeout=TIMEOUT)
            provider.declare(listener, timeout=TIMEOUT)  # type: ignore[arg-type]

        at_once(*[lambda provider=provider: declare(provider) for provider in providers])  # type: ignore[misc]


def test_delaying_at_once(make: Make) -> None:
    """Processes that need the queue of one delay at the same moment all get their events confirmed."""
    providers = [make() for _ in range(4)]
    for number in range(ROUNDS):
        event = an_event()
        inbox = Inbox()
        providers[0].subscribe(a_listener(event), inbox, credit=10, timeout=TIMEOUT)
        envelope = an_envelope(number)
        envelope.delay = 0.2
        at_once(
            *[lambda provider=provider: provider.send(envelope, event).result(TIMEOUT) for provider in providers]  # type: ignore[misc]  # noqa: B023
        )
        for delivery in inbox.wait(len(providers)):
            delivery.accept()
