"""AMQP and STOMP on one RabbitMQ: what one sends the other handles, retries, dead-letters and replays."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from aspyx_event.delivery.dead_letters import DeadLetter
from aspyx_event.envelope import CE_ID, Envelope, current_envelope
from aspyx_event.events import event
from aspyx_event.listeners import event_listener
from aspyx_event.manager import EventManager
from aspyx_event.registry import EventRegistry
from aspyx_event.retry import RetryPolicy
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_event, unique
from tests.integrations.amqp_rabbitmq.conftest import Make
from tests.integrations.amqp_rabbitmq.support import PATIENCE, wait_until

pytestmark = pytest.mark.rabbitmq

HEADERS = {
    "tenant": "shop:eu",
    "dotted.name": "a\nb\r\\c",
    "with-hyphen": "ü€😀",
    "empty": "",
    "x-request-id": "17",
    "number": "007",
    # names that mean something to STOMP, whose frames they must not change
    "ack": "nothing",
    "id": "mine",
    "subscription": "none",
    "destination": "/nowhere",
    "message-id": "m",
    "content-length": "3",
    "content-type": "text/nonsense",
    "priority": "9",
    "receipt": "no",
    "expires": "1",
    "x-death": "none",
    "x-delivery-count": "17",
}

BOTH_WAYS = pytest.mark.parametrize(("sender", "receiver"), [("amqp", "stomp"), ("stomp", "amqp"), ("amqp", "amqp")])


@BOTH_WAYS
@pytest.mark.parametrize("body", ['{"text":"ü😀"}'.encode(), b"\x00\xff\xfe binary", b"{}"])
def test_an_event_crosses(make: Make, sender: str, receiver: str, body: bytes) -> None:
    """Body bytes, content type, id, CloudEvents attributes and user headers are the same on the other side."""
    one, other = make(sender), make(receiver)
    kind = an_event()
    inbox = Inbox()
    other.subscribe(a_listener(kind), inbox, credit=5, timeout=TIMEOUT)
    headers = {CE_ID: "e-1", "cloudEvents_type": kind.name, "cloudEvents_source": one.server_name, **HEADERS}
    for _ in range(2):
        one.send(Envelope(body, headers), kind).result(TIMEOUT)
    for delivery in inbox.wait(2):
        found = delivery.read()
        assert found.body == body
        assert found.wire_headers == headers
        assert (found.id, found.content_type, found.unreadable) == ("e-1", "application/json", None)
        delivery.accept()
    assert inbox.stays_at(2)


@BOTH_WAYS
def test_a_native_id_and_an_expiry_cross(make: Make, sender: str, receiver: str) -> None:
    """An event without our headers has the id that its sender gave the message; both know when it expires."""
    one, other = make(sender), make(receiver)
    kind = an_event()
    inbox = Inbox()
    other.subscribe(a_listener(kind), inbox, credit=5, timeout=TIMEOUT)
    one.send(Envelope(b"{}", {CE_ID: "e-1"}, ttl=600.0), kind).result(TIMEOUT)
    found = inbox.wait(1)[0].read()
    assert found.native_id == "e-1"
    assert found.expires_at is not None
    assert 500 < found.expires_at - time.time() <= 600


@BOTH_WAYS
def test_retries_and_the_error_queue_cross(make: Make, sender: str, receiver: str) -> None:
    """A retry that one protocol wrote is read by the other, competing on one queue; so are dead letters, both ways."""
    prefix = unique("app")
    one, other = make(sender, prefix=prefix), make(receiver, prefix=prefix)
    kind = an_event()
    listener = a_listener(kind)
    first, second = Inbox(), Inbox()
    one.declare(one.error_queue, timeout=TIMEOUT)
    subscription = other.subscribe(listener, first, credit=1, timeout=TIMEOUT)
    one.send(Envelope(b'{"n":1}', {CE_ID: "e-1", **HEADERS}), kind).result(TIMEOUT)
    delivery = first.wait(1)[0]
    delivery.forward(subscription.queue, {**delivery.read().wire_headers, "ev_attempt": "2"}, delay=0.5).result(TIMEOUT)
    delivery.accept()
    subscription.close(TIMEOUT)
    one.subscribe(listener, second, credit=1, timeout=TIMEOUT)
    again = second.wait(1, PATIENCE)[0]
    copy = again.read()
    assert (copy.body, copy.attempt, copy.id, copy.content_type) == (b'{"n":1}', 2, "e-1", "application/json")
    dead = {**copy.wire_headers, "ev_error_stack": 'File "x"\n  a:b\\c', "ev_error_queue": subscription.queue}
    again.forward(one.error_queue, dead).result(TIMEOUT)
    again.accept()
    [found] = list(other.browse(other.error_queue, timeout=TIMEOUT))
    assert (found.body, found.wire_headers) == (b'{"n":1}', dead)
    taken = other.take(other.error_queue, "e-1", timeout=TIMEOUT)
    assert taken is not None
    taken.forward(subscription.queue, HEADERS).result(TIMEOUT)
    taken.accept()
    assert second.wait(2)[1].read().wire_headers == HEADERS


@dataclass
class Order:
    """Something that fails when it is negative."""

    number: int


@BOTH_WAYS
def test_two_managers_of_two_protocols(make: Make, sender: str, receiver: str) -> None:
    """Events sent over one protocol, handled over the other; what fails is listed and replayed over the first."""
    mark = uuid.uuid4().hex[:8]
    declared = event(f"Order-{mark}", durable=True)(type("Order", (Order,), {"__doc__": "An order."}))
    handled: list[tuple[int, str, str]] = []
    broken = [True]

    def handle(order: Any) -> None:
        envelope = current_envelope()
        assert envelope is not None
        if order.number < 0 and broken[0]:
            raise ValueError("a negative number")
        handled.append((order.number, envelope.id, envelope.headers["tenant"]))

    listener = event_listener(declared, f"billing-{mark}")(handle)
    retry = RetryPolicy(immediate=0, delayed=(0.2,), jitter=0)
    with (
        EventManager(
            make(receiver, start=False, prefix=mark), registry=EventRegistry().register(listener), retry=retry
        ),
        EventManager(
            make(sender, start=False, prefix=mark), registry=EventRegistry().register(declared, listener), retry=retry
        ) as sending,
    ):
        sending.send_events([declared(number) for number in range(-1, 20)], headers={"tenant": "t"})

        def dead() -> list[DeadLetter]:
            return list(sending.dead_letters())

        wait_until(lambda: len(handled) == 20 and len(dead()) == 1)
        [letter] = dead()
        assert (letter.reason, letter.error_type, letter.attempts) == ("exception", "builtins.ValueError", 2)
        assert letter.body == b'{"number":-1}'
        broken[0] = False
        sending.replay(letter.id)
        wait_until(lambda: len(handled) == 21)
        assert handled[-1] == (-1, letter.id, "t")
        wait_until(lambda: dead() == [])
