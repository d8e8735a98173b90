"""AMQP and STOMP on one broker: what one sends the other handles, retries, dead-letters and replays."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, ClassVar

import pytest

from aspyx_event.delivery.dead_letters import DeadLetter
from aspyx_event.envelope import CE_ID, Envelope, current_envelope
from aspyx_event.events import event
from aspyx_event.listeners import event_listener
from aspyx_event.manager import EventManager
from aspyx_event.provider import Provider
from aspyx_event.registry import EventRegistry
from aspyx_event.retry import RetryPolicy
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_event, unique, wait_until

Make = Callable[..., Provider]
"""A provider of the protocol that is named, on the broker; started, unless told not to."""


@dataclass
class Order:
    """Something that fails when it is negative."""

    number: int


class Crossing:
    """A subclass names the pairs of protocols in a parametrize mark; a fixture ``make`` makes the providers."""

    headers: ClassVar[Mapping[str, str]] = {
        "tenant": "shop:eu",
        "dotted.name": "a\nb\r\\c",
        "with-hyphen": "ü€😀",
        "empty": "",
        "x-request-id": "17",
        "number": "007",
    }
    patience = TIMEOUT
    """Seconds for what waits in the broker, or is counted there."""

    def none_left(self, dead: Callable[[], list[DeadLetter]]) -> None:
        """The error queue is empty once a replay is handled."""
        assert dead() == []

    @pytest.mark.parametrize("body", ['{"text":"ü😀"}'.encode(), b"\x00\xff\xfe binary", b"{}"])
    def test_an_event_crosses(self, make: Make, sender: str, receiver: str, body: bytes) -> None:
        """Body bytes, content type, id, CloudEvents attributes and user headers are the same on the other side."""
        one, other = make(sender), make(receiver)
        kind = an_event()
        inbox = Inbox()
        other.subscribe(a_listener(kind), inbox, credit=5, timeout=TIMEOUT)
        headers = {CE_ID: "e-1", "cloudEvents_type": kind.name, "cloudEvents_source": one.server_name, **self.headers}
        for _ in range(2):
            one.send(Envelope(body, headers), kind).result(TIMEOUT)
        for delivery in inbox.wait(2):
            found = delivery.read()
            assert found.body == body
            assert found.wire_headers == headers
            assert (found.id, found.content_type, found.unreadable) == ("e-1", "application/json", None)
            delivery.accept()
        assert inbox.stays_at(2)

    def test_retries_and_the_error_queue_cross(self, make: Make, sender: str, receiver: str) -> None:
        """A retry that one protocol wrote is read by the other, from the same queue; so are dead letters, both ways."""
        prefix = unique("app")
        one, other = make(sender, prefix=prefix), make(receiver, prefix=prefix)
        kind = an_event()
        listener = a_listener(kind)
        first, second = Inbox(), Inbox()
        one.declare(one.error_queue, timeout=TIMEOUT)
        subscription = other.subscribe(listener, first, credit=1, timeout=TIMEOUT)
        one.send(Envelope(b'{"n":1}', {CE_ID: "e-1", **self.headers}), kind).result(TIMEOUT)
        delivery = first.wait(1)[0]
        delivery.forward(subscription.queue, {**delivery.read().wire_headers, "ev_attempt": "2"}, delay=0.5).result(
            TIMEOUT
        )
        delivery.accept()
        subscription.close(TIMEOUT)
        for early in first.deliveries[1:]:  # a copy whose confirmation took longer than its delay
            early.release()
        one.subscribe(listener, second, credit=1, timeout=TIMEOUT)
        again = second.wait(1, self.patience)[0]
        copy = again.read()
        assert (copy.body, copy.attempt, copy.id, copy.content_type) == (b'{"n":1}', 2, "e-1", "application/json")
        dead = {**copy.wire_headers, "ev_error_stack": 'File "x"\n  a:b\\c', "ev_error_queue": subscription.queue}
        again.forward(one.error_queue, dead).result(TIMEOUT)
        again.accept()
        [found] = list(other.browse(other.error_queue, timeout=TIMEOUT))
        assert (found.body, found.wire_headers) == (b'{"n":1}', dead)
        taken = other.take(other.error_queue, "e-1", timeout=TIMEOUT)
        assert taken is not None
        taken.forward(subscription.queue, self.headers).result(TIMEOUT)
        taken.accept()
        assert second.wait(2)[1].read().wire_headers == self.headers

    def test_two_managers_of_two_protocols(self, make: Make, sender: str, receiver: str) -> None:
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
                make(sender, start=False, prefix=mark),
                registry=EventRegistry().register(declared, listener),
                retry=retry,
            ) as sending,
        ):
            sending.send_events([declared(number) for number in range(-1, 20)], headers={"tenant": "t"})

            def dead() -> list[DeadLetter]:
                return list(sending.dead_letters())

            wait_until(lambda: len(handled) == 20 and len(dead()) == 1, self.patience)
            [letter] = dead()
            assert (letter.reason, letter.error_type, letter.attempts) == ("exception", "builtins.ValueError", 2)
            assert letter.body == b'{"number":-1}'
            broken[0] = False
            sending.replay(letter.id)
            wait_until(lambda: len(handled) == 21, self.patience)
            assert handled[-1] == (-1, letter.id, "t")
            self.none_left(dead)
