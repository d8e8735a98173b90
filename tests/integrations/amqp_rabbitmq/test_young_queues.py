"""RabbitMQ is killed in the moment in which it has made a queue for delays, over both protocols."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import pytest

pytest.importorskip("stomp")

from aspyx_event import AMQPProvider, StompProvider
from aspyx_event.envelope import CE_ID
from aspyx_event.providers.network.young_queues import YOUTH
from tests.brokers.rabbitmq import RabbitMQBroker
from tests.integrations.amqp.support import TIMEOUT, Inbox, States, a_listener, an_envelope, an_event, unique
from tests.integrations.amqp_rabbitmq.support import PATIENCE, queues, wait_until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow]


@pytest.fixture(params=["amqp", "stomp"])
def provider(request: pytest.FixtureRequest, rabbitmq: RabbitMQBroker) -> Iterator[Any]:
    """A provider of each protocol."""
    broker = rabbitmq.start()
    kind, port = {"amqp": (AMQPProvider, broker.amqp_port), "stomp": (StompProvider, broker.stomp_port)}[request.param]
    made = kind(unique("server"), "127.0.0.1", port, broker.user, broker.password)
    made.start(States(), timeout=PATIENCE)
    yield made
    made.stop(timeout=5)


def attached(provider: Any) -> tuple[Any, Inbox]:
    """A listener whose queue is old enough, and its event."""
    event, inbox = an_event(), Inbox()
    provider.subscribe(a_listener(event), inbox, credit=10, timeout=TIMEOUT)
    provider.send(an_envelope(0), event).result(TIMEOUT)
    inbox.wait(1)
    return event, inbox


def test_confirmations_wait_until_the_queue_is_old_enough(provider: Any) -> None:
    """The first event into a queue for delays is confirmed after some seconds, the next ones at once."""
    event, inbox = attached(provider)
    delivery = inbox.deliveries[0]
    first = delivery.forward(delivery_queue(provider, event), {CE_ID: "copy"}, delay=60)
    with pytest.raises(FutureTimeout):
        first.result(YOUTH / 2)
    first.result(TIMEOUT)
    began = time.monotonic()
    delivery.forward(delivery_queue(provider, event), {CE_ID: "copy"}, delay=60).result(TIMEOUT)
    assert time.monotonic() - began < YOUTH / 2


@pytest.mark.parametrize("pause", [0.05, 0.3])
def test_a_broker_that_is_killed_meanwhile(provider: Any, rabbitmq: RabbitMQBroker, pause: float) -> None:
    """Nothing that was confirmed is lost: what went into a young queue is sent again, into another one."""
    event, inbox = attached(provider)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 6)  # the listener's own queue must not be young
    delivery = inbox.deliveries[0]
    queue = delivery_queue(provider, event)
    copy = delivery.forward(queue, {CE_ID: "copy"}, delay=2)
    delayed = provider.send(delayed_envelope(), event)
    wait_until(lambda: any(name.startswith(f"{queue}.retry") for name in queues(rabbitmq)), TIMEOUT)
    with pytest.raises(FutureTimeout):
        copy.result(pause)
    rabbitmq.restart(kill=True)
    copy.result(PATIENCE)
    delayed.result(PATIENCE)
    wait_until(lambda: {"copy", "delayed"} <= {found.read().id for found in list(inbox.deliveries)}, PATIENCE)


def delayed_envelope() -> Any:
    """An event that is sent with a delay."""
    envelope = an_envelope(0, **{CE_ID: "delayed"})
    envelope.delay = 2
    return envelope


def delivery_queue(provider: Any, event: Any) -> str:
    """The canonical name of the only queue of an event."""
    return next(s.queue for s in provider._subscriptions if s.queue.startswith(f"{event.name}::"))
