"""Sends that reach nobody, copies, delays and times to live on RabbitMQ over AMQP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import ProviderError, SendRejected
from aspyx_event.provider import Delivery, Provider
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_envelope, an_event, unique
from tests.integrations.amqp_rabbitmq.conftest import Make
from tests.integrations.amqp_rabbitmq.support import PATIENCE, depth, queue_path, queues, wait_until
from tests.integrations.stomp.rabbit import api

if TYPE_CHECKING:
    from tests.brokers.rabbitmq import RabbitMQBroker

pytestmark = pytest.mark.rabbitmq


def received(provider: Provider, event: EventDescriptor) -> tuple[Inbox, Delivery, str]:
    """One delivery of an event with one listener: its inbox, the delivery, and the name of the queue."""
    inbox = Inbox()
    subscription = provider.subscribe(a_listener(event), inbox, credit=20, timeout=TIMEOUT)
    provider.send(an_envelope(0), event).result(TIMEOUT)
    return inbox, inbox.wait(1)[0], subscription.queue


def test_an_event_without_a_listener_is_confirmed(provider: Provider) -> None:
    """Nobody listening anywhere is no error; the event need not even be declared."""
    provider.send(an_envelope(1), an_event()).result(TIMEOUT)


def test_a_copy_to_a_queue_that_is_gone_is_refused(provider: Provider, broker: RabbitMQBroker) -> None:
    """A copy that no queue takes is not taken for stored: the original stays unsettled."""
    _, delivery, _ = received(provider, an_event())
    gone = f"{unique('event')}::nobody"
    with pytest.raises(ProviderError, match="no queue"):  # the link is refused
        delivery.forward(gone, {}).result(TIMEOUT)
    api(broker, "PUT", queue_path(gone), {"durable": True, "arguments": {"x-queue-type": "classic"}})
    delivery.forward(gone, {}).result(TIMEOUT)
    api(broker, "DELETE", queue_path(gone))
    with pytest.raises(ProviderError, match=r"no (such )?queue"):  # the link went with the queue
        delivery.forward(gone, {}).result(TIMEOUT)
    assert delivery.alive


def test_a_full_queue_refuses(provider: Provider, broker: RabbitMQBroker) -> None:
    """A queue that rejects is an error with the broker's reason."""
    _, delivery, _ = received(provider, an_event())
    full = f"{unique('event')}::full"
    arguments = {"x-queue-type": "classic", "x-max-length": 0, "x-overflow": "reject-publish"}
    api(broker, "PUT", queue_path(full), {"durable": True, "arguments": arguments})
    with pytest.raises(SendRejected, match="full"):
        delivery.forward(full, {}).result(TIMEOUT)


def test_the_error_queue_comes_back(make: Make, broker: RabbitMQBroker) -> None:
    """An error queue that somebody deleted is created anew: the first dead letter is refused at most, not lost."""
    provider = make(error_queue=unique("dead"))
    provider.declare(provider.error_queue, timeout=TIMEOUT)
    _, delivery, _ = received(provider, an_event())
    delivery.forward(provider.error_queue, {"try": "1"}).result(TIMEOUT)
    api(broker, "DELETE", queue_path(provider.error_queue))

    def stored() -> bool:
        try:
            delivery.forward(provider.error_queue, {"try": "2"}).result(TIMEOUT)
        except SendRejected:
            return False
        return True

    wait_until(stored)
    assert [envelope.headers for envelope in provider.browse(provider.error_queue, timeout=TIMEOUT)] == [{"try": "2"}]


@pytest.mark.parametrize("durable", [True, False])
def test_a_short_delay_is_not_held_up_by_a_long_one(provider: Provider, broker: RabbitMQBroker, durable: bool) -> None:
    """Copies with delays of an hour and of a second: the second one comes after its own delay, to its queue alone."""
    event = an_event(durable=durable)
    other = Inbox()
    provider.subscribe(a_listener(event), other, credit=5, timeout=TIMEOUT)
    inbox, delivery, queue = received(provider, event)
    other.wait(1)
    began = time.monotonic()
    delivery.forward(queue, {"n": "long"}, delay=3600).result(TIMEOUT)
    delivery.forward(queue, {"n": "short"}, delay=1.0).result(TIMEOUT)
    copy = inbox.wait(2, PATIENCE)[1].read()
    assert time.monotonic() - began >= 1.0
    assert copy.headers == {"n": "short"}
    assert inbox.stays_at(2)
    assert len(other.deliveries) == 1
    waiting = [name for name in queues(broker) if name.startswith(f"{queue}.retry.")]
    assert len(waiting) == 2
    assert sorted(depth(broker, name) for name in waiting) == [0, 1]


def test_a_copy_after_its_delay_queue_was_deleted(provider: Provider, broker: RabbitMQBroker) -> None:
    """What is sent to a delay queue that vanished is refused, not lost; the queue is there again for the next copy."""
    inbox, delivery, queue = received(provider, an_event())
    delivery.forward(queue, {"n": "1"}, delay=1.0).result(TIMEOUT)
    inbox.wait(2, PATIENCE)
    [name] = [name for name in queues(broker) if name.startswith(f"{queue}.retry.")]
    api(broker, "DELETE", queue_path(name))

    def stored() -> bool:
        try:
            delivery.forward(queue, {"n": "2"}, delay=1.0).result(TIMEOUT)
        except SendRejected:
            return False
        return True

    wait_until(stored)
    assert inbox.wait(3, PATIENCE)[2].read().headers == {"n": "2"}


def test_many_delayed_copies_at_once(provider: Provider) -> None:
    """Copies that are sent before their delay queue exists wait for it, and all of them arrive."""
    inbox, delivery, queue = received(provider, an_event())
    copies = [delivery.forward(queue, {"n": str(number)}, delay=0.5 + number % 3) for number in range(30)]
    assert not all(copy.done() for copy in copies)  # nobody waited for a broker in forward()
    for copy in copies:
        copy.result(TIMEOUT)
    for number in range(31):
        inbox.wait(number + 1, PATIENCE)[number].accept()
    found = [each.read().headers.get("n") for each in inbox.deliveries[1:]]
    assert sorted(found, key=int) == [str(number) for number in range(30)]  # type: ignore[arg-type]


def test_a_delayed_event_reaches_every_listener(make: Make) -> None:
    """An event with a delay comes to each listener once, over both protocols, and not before its time."""
    event = an_event()
    inboxes = [Inbox(), Inbox()]
    for protocol, inbox in zip(("amqp", "stomp"), inboxes):
        make(protocol).subscribe(a_listener(event), inbox, credit=5, timeout=TIMEOUT)
    envelope = an_envelope(1)
    envelope.delay = 1.0
    began = time.monotonic()
    make("amqp").send(envelope, event).result(TIMEOUT)
    for inbox in inboxes:
        assert inbox.wait(1, PATIENCE)[0].read().id == "id-1"
        assert time.monotonic() - began >= 1.0
        assert inbox.stays_at(1)


def test_an_event_expires_in_its_queue(provider: Provider) -> None:
    """What has waited longer than its ttl is gone; what has not is there, and knows when it expires."""
    event = an_event()
    listener = a_listener(event)
    provider.declare(listener, timeout=TIMEOUT)
    for number, ttl in enumerate((0.2, 600.0)):
        envelope = an_envelope(number)
        envelope.ttl = ttl
        provider.send(envelope, event).result(TIMEOUT)
    Inbox().stays_at(0, 1.0)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
    found = inbox.wait(1)[0].read()
    assert inbox.stays_at(1)
    assert found.id == "id-1"
    assert found.expires_at is not None
    assert 500 < found.expires_at - time.time() <= 600


def test_a_delayed_event_keeps_its_expiry(provider: Provider) -> None:
    """A ttl longer than the delay: the event waits for its delay, and still knows when it expires."""
    event = an_event()
    inbox = Inbox()
    provider.subscribe(a_listener(event), inbox, credit=5, timeout=TIMEOUT)
    envelope = an_envelope(1)
    envelope.delay, envelope.ttl = 1.0, 600.0
    provider.send(envelope, event).result(TIMEOUT)
    found = inbox.wait(1, PATIENCE)[0].read()
    assert found.expires_at is not None
    assert 500 < found.expires_at - time.time() <= 600
    assert found.headers == {}
