"""Copies to the own queue and to the error queue, and what is read from there."""

from __future__ import annotations

import time

from aspyx_event.envelope import CE_ID, EV_ATTEMPT, Envelope
from aspyx_event.providers.stomp import StompProvider
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_event, unique
from tests.integrations.stomp.conftest import MakeProvider, only
from tests.integrations.stomp.support import fill


def test_a_delayed_copy_reaches_one_queue(provider: StompProvider) -> None:
    """A retry comes back after its delay, to this listener alone, with the body's bytes and exactly the headers."""
    event = an_event()
    mine, other = Inbox(), Inbox()
    listener = a_listener(event)
    provider.subscribe(listener, mine, credit=10, timeout=TIMEOUT)
    provider.subscribe(a_listener(event), other, credit=10, timeout=TIMEOUT)
    body = '{"text": "ü\\n"}'.encode()
    provider.send(Envelope(body, {CE_ID: "one", "tenant": "a:b"}, content_type="application/x+json"), event).result(
        TIMEOUT
    )
    delivery = mine.wait(1)[0]
    other.wait(1)[0].accept()
    began = time.monotonic()
    delivery.forward(provider.queue_name(listener), {CE_ID: "one", EV_ATTEMPT: "2"}, delay=1.0).result(TIMEOUT)
    delivery.accept()
    copy = mine.wait(2)[1].read()
    assert 0.95 <= time.monotonic() - began < 5
    assert (copy.body, copy.content_type, copy.attempt) == (body, "application/x+json", 2)
    assert copy.wire_headers == {CE_ID: "one", EV_ATTEMPT: "2"}
    mine.deliveries[1].forward(provider.queue_name(listener), copy.wire_headers).result(TIMEOUT)
    assert mine.wait(3)[2].read().wire_headers == copy.wire_headers
    assert other.stays_at(1)


def test_the_error_queue_keeps_the_bytes(make_provider: MakeProvider) -> None:
    """A dead letter has its bytes, headers and order; looking at it takes nothing, taking one leaves the others."""
    provider = make_provider(prefix=unique("app"))
    provider.declare(provider.error_queue, timeout=TIMEOUT)
    event = an_event()
    inbox = Inbox()
    provider.subscribe(a_listener(event), inbox, credit=10, timeout=TIMEOUT)
    bodies = [b"\x00\xff binary", b'{"text": 1}', b"", b"plain"]
    for number, body in enumerate(bodies):
        provider.send(Envelope(body, {CE_ID: f"id-{number}"}), event).result(TIMEOUT)
    stack = 'Traceback:\n  File "x"\n' + "a\\b:ü" * 3000
    for delivery in inbox.wait(4):
        headers = {**delivery.read().wire_headers, "ev_error_stack": stack, "ev_error_queue": "some::queue"}
        delivery.forward(provider.error_queue, headers).result(TIMEOUT)
        delivery.accept()
    for _ in range(3 if provider.capabilities.delivery_count else 15):  # RabbitMQ is slow at it, Artemis counts to 10
        found = list(provider.browse(provider.error_queue, timeout=TIMEOUT))
        assert [envelope.id for envelope in found] == [f"id-{number}" for number in range(4)]
        assert [envelope.body for envelope in found] == bodies
    kept = found[0].wire_headers["ev_error_stack"]
    assert stack.endswith(kept)
    assert len(kept) > 3000
    taken = provider.take(provider.error_queue, "id-2", timeout=TIMEOUT)
    assert taken is not None
    assert taken.read().body == bodies[2]
    assert taken.alive
    taken.release()
    assert len(list(provider.browse(provider.error_queue, timeout=TIMEOUT))) == 4
    taken = provider.take(provider.error_queue, "id-2", timeout=TIMEOUT)
    assert taken is not None
    taken.accept()
    assert not taken.alive
    left = [envelope.id for envelope in provider.browse(provider.error_queue, timeout=TIMEOUT)]
    assert left == ["id-0", "id-1", "id-3"]
    assert provider.take(provider.error_queue, "id-2", timeout=TIMEOUT) is None
    assert provider.take(provider.error_queue, "it's not there", timeout=TIMEOUT) is None


def test_an_empty_error_queue(make_provider: MakeProvider) -> None:
    """Nothing in it: an empty list, and nothing to take."""
    provider = make_provider(prefix=unique("app"))
    provider.declare(provider.error_queue, timeout=TIMEOUT)
    assert list(provider.browse(provider.error_queue, timeout=TIMEOUT)) == []
    assert provider.take(provider.error_queue, "x", timeout=TIMEOUT) is None


@only("rabbitmq")
def test_delays_share_few_queues(make_provider: MakeProvider, broker) -> None:  # type: ignore[no-untyped-def]
    """Arbitrary delays are rounded up to a small set of queues, which delete themselves."""
    from tests.integrations.stomp.rabbit import api

    provider = make_provider()
    _, listener = fill(provider, 20)
    inbox = Inbox()
    subscription = provider.subscribe(listener, inbox, credit=50, timeout=TIMEOUT)
    for number, delivery in enumerate(inbox.wait(20)):
        delay = 10 + number * 0.125
        delivery.forward(subscription.queue, delivery.read().wire_headers, delay=delay).result(TIMEOUT)
        delivery.accept()
    names = [queue["name"] for queue in api(broker, "GET", "/queues/%2F")]
    waiting = [name for name in names if name.startswith(f"{subscription.queue}.retry.")]
    assert {name.split(".retry.")[1].split(".")[0] for name in waiting} == {"10000", "12000", "15000"}


@only("rabbitmq")
def test_the_delivery_limit_loses_nothing(make_provider: MakeProvider) -> None:
    """An event that RabbitMQ takes away after too many broken connections is in the error queue, and says why."""
    provider = make_provider(prefix=unique("app"))
    provider.declare(provider.error_queue, timeout=TIMEOUT)
    _, listener = fill(provider, 1)
    for _ in range(21):
        inbox = Inbox()
        subscription = provider.subscribe(listener, inbox, credit=1, timeout=TIMEOUT)
        inbox.wait(1)
        subscription.channel.abort()  # type: ignore[attr-defined]
        subscription.channel.join(TIMEOUT)  # type: ignore[attr-defined]
        subscription.close(0)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=1, timeout=TIMEOUT)
    assert inbox.stays_at(0)
    [dead] = list(provider.browse(provider.error_queue, timeout=TIMEOUT))
    assert (dead.id, dead.body) == ("id-0", b'{"number":0}')
    assert dead.get("ev_error_reason") == "crashed"
    assert dead.get("ev_error_queue") == provider.queue_name(listener)
