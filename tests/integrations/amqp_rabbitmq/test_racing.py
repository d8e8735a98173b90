"""Processes that declare the same thing at the same moment, which RabbitMQ's management does not expect."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Callable

import pytest

from aspyx_event.envelope import Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Provider, Subscription
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

        def declare(provider: Provider, listener: EventListenerDescriptor = listener, queue: str = queue) -> None:
            provider.declare(queue, timeout=TIMEOUT)
            provider.declare(listener, timeout=TIMEOUT)

        at_once(*[partial(declare, provider) for provider in providers])


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
def test_subscribing_at_once(make: Make, protocol: str) -> None:
    """Processes that start together read a queue that one of them has only just declared."""
    providers = [make(protocol) for _ in range(3)]
    for _ in range(ROUNDS):
        listener = a_listener(an_event())
        subscriptions: list[Subscription] = []

        def start(
            provider: Provider,
            listener: EventListenerDescriptor = listener,
            subscriptions: list[Subscription] = subscriptions,
        ) -> None:
            subscriptions.append(provider.subscribe(listener, Inbox(), credit=10, timeout=TIMEOUT))

        at_once(*[partial(start, provider) for provider in providers])
        for subscription in subscriptions:
            subscription.close(TIMEOUT)


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
def test_delaying_at_once(make: Make, protocol: str) -> None:
    """Processes that need the queue of one delay at the same moment: every event is confirmed, and comes."""
    providers = [make(protocol) for _ in range(6)]
    for number in range(ROUNDS):
        event = an_event()
        inbox = Inbox()
        subscription = providers[0].subscribe(a_listener(event), inbox, credit=10, timeout=TIMEOUT)
        envelope = an_envelope(number)
        envelope.delay = 0.2

        def send(provider: Provider, envelope: Envelope = envelope, event: EventDescriptor = event) -> None:
            provider.send(envelope, event).result(TIMEOUT)

        at_once(*[partial(send, provider) for provider in providers])
        for delivery in inbox.wait(len(providers), 20):
            assert delivery.read().expires_at is None
            delivery.accept()
        subscription.close(TIMEOUT)
