"""Messages that come back again and again: what the broker counts, and what keeps them from being taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from proton import Message, symbol

from aspyx_event.envelope import EV_ATTEMPT, Envelope
from aspyx_event.provider import Provider
from aspyx_event.testing.proxy import TcpProxy
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_envelope, an_event, unique
from tests.integrations.amqp_rabbitmq.conftest import Make
from tests.integrations.amqp_rabbitmq.support import PATIENCE, wait_until
from tests.integrations.native import connected

if TYPE_CHECKING:
    from tests.brokers.rabbitmq import RabbitMQBroker

pytestmark = pytest.mark.rabbitmq

_LIMIT = 20
"""How often RabbitMQ 4.0 lets a message of a quorum queue come back."""


def test_releasing_for_ever_loses_nothing(provider: Provider) -> None:
    """A message may be released more often than the broker's delivery limit: it keeps coming, unchanged."""
    event = an_event()
    inbox = Inbox()
    provider.subscribe(a_listener(event), inbox, credit=1, timeout=TIMEOUT)
    envelope = an_envelope(1, **{EV_ATTEMPT: "2"})
    envelope.ttl = 600.0
    provider.send(envelope, event).result(TIMEOUT)
    first = inbox.wait(1)[0].read()
    for number in range(2 * _LIMIT + 5):
        delivery = inbox.wait(number + 1, PATIENCE)[number]
        delivery.release()
        delivery.accept()  # too late: it went back
    last = inbox.wait(2 * _LIMIT + 6, PATIENCE)[-1]
    found = last.read()
    assert (found.body, found.wire_headers) == (first.body, first.wire_headers)
    assert (found.attempt, found.delivery_count, found.expires_at) == (2, 0, first.expires_at)
    last.accept()
    assert inbox.stays_at(2 * _LIMIT + 6)


def test_what_is_released_while_stopping_is_there_once(make: Make) -> None:
    """A worn message that is released just before the provider stops is in the queue once, not as a copy as well."""
    event = an_event()
    listener = a_listener(event)
    inbox = Inbox()
    provider = make()
    subscription = provider.subscribe(listener, inbox, credit=1, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    for number in range(10):
        inbox.wait(number + 1)[number].release()
    last = inbox.wait(11)[10]
    subscription.close(TIMEOUT)
    last.release()
    provider.stop(timeout=10)
    again = Inbox()
    make().subscribe(listener, again, credit=5, timeout=TIMEOUT)
    again.wait(1)
    assert again.stays_at(1)


def test_a_lost_connection_counts(make: Make, broker: RabbitMQBroker) -> None:
    """A delivery whose connection broke is counted by the broker; a released one is not."""
    event = an_event()
    inbox = Inbox()
    with TcpProxy("127.0.0.1", broker.amqp_port) as proxy:
        provider = make(port=proxy.port)
        provider.subscribe(a_listener(event), inbox, credit=1, timeout=TIMEOUT)
        provider.send(an_envelope(1), event).result(TIMEOUT)
        inbox.wait(1)[0].release()
        assert inbox.wait(2)[1].read().delivery_count == 0
        for number in range(2, 5):
            proxy.cut()
            assert inbox.wait(number + 1, PATIENCE)[number].read().delivery_count == number - 1
        inbox.deliveries[-1].accept()
        provider.stop(timeout=5)


def test_what_the_broker_takes_away_is_in_the_error_queue(make: Make, broker: RabbitMQBroker) -> None:
    """A foreign consumer that gives a message back too often: it is a dead letter that says what happened."""
    provider = make(error_queue=unique("dead"))
    event = an_event()
    listener = a_listener(event)
    provider.declare(provider.error_queue, timeout=TIMEOUT)
    provider.declare(listener, timeout=TIMEOUT)
    queue = provider.queue_name(listener)
    provider.send(an_envelope(1, tenant="t"), event).result(TIMEOUT)
    with connected(broker) as connection:
        receiver = connection.create_receiver(f"/queues/{queue.replace(':', '%3A')}", credit=1)
        for _ in range(_LIMIT + 1):
            receiver.receive(TIMEOUT)
            receiver.release(delivered=False)
        receiver.close()
    found: list[Envelope] = []

    def there() -> bool:
        found[:] = list(provider.browse(provider.error_queue, timeout=TIMEOUT))
        return bool(found)

    wait_until(there)
    headers = found[0].wire_headers
    assert (found[0].id, headers["tenant"], found[0].body) == ("id-1", "t", b'{"number":1}')
    assert (headers["ev_error_reason"], headers["ev_error_queue"]) == ("crashed", queue)
    assert "delivery limit" in headers["ev_error_message"]


def test_looking_at_dead_letters_does_not_wear_them_out(make: Make) -> None:
    """The error queue can be browsed and searched for ever; the order stays, and an id that is not there is not."""
    provider = make(error_queue=unique("dead"))
    provider.declare(provider.error_queue, timeout=TIMEOUT)
    event = an_event()
    inbox = Inbox()
    provider.subscribe(a_listener(event), inbox, credit=300, timeout=TIMEOUT)
    for number in range(250):  # more than the window of a scan
        provider.send(an_envelope(number), event)
    for delivery in inbox.wait(250, PATIENCE):
        delivery.forward(provider.error_queue, delivery.read().wire_headers).result(TIMEOUT)
        delivery.accept()
    expected = [delivery.read().id for delivery in inbox.deliveries]
    for _ in range(_LIMIT + 5):
        assert [found.id for found in provider.browse(provider.error_queue, timeout=TIMEOUT)] == expected
    taken = provider.take(provider.error_queue, "id-240", timeout=TIMEOUT)
    assert taken is not None
    assert provider.take(provider.error_queue, "id-240", timeout=TIMEOUT) is None
    taken.release()
    again = provider.take(provider.error_queue, "id-240", timeout=TIMEOUT)
    assert again is not None
    again.accept()
    expected.remove("id-240")
    assert [found.id for found in provider.browse(provider.error_queue, timeout=TIMEOUT)] == expected


def test_a_foreign_message(provider: Provider, broker: RabbitMQBroker) -> None:
    """What a plain AMQP client sends to the event's exchange is a good event, with its own id and headers."""
    event = an_event()
    inbox = Inbox()
    provider.subscribe(a_listener(event), inbox, credit=1, timeout=TIMEOUT)
    with connected(broker) as connection:
        sender = connection.create_sender(f"/exchanges/{event.name}")
        sender.send(
            Message(
                body=b'{"number":7}',
                inferred=True,
                durable=True,
                id="foreign-1",
                content_type="application/json",
                properties={"priority": "3", "tenant": "t", "receipts": "r"},
                annotations={symbol("x-opt-mine"): "m", symbol("x-trace"): "17"},
            )
        )
        sender.close()
    found = inbox.wait(1)[0].read()
    assert (found.id, found.body, found.content_type) == ("foreign-1", b'{"number":7}', "application/json")
    assert found.headers == {"priority": "3", "tenant": "t", "receipts": "r", "x-trace": "17"}
