"""AMQP and STOMP on one RabbitMQ."""

from __future__ import annotations

import time
from typing import Callable

import pytest

from aspyx_event.delivery.dead_letters import DeadLetter
from aspyx_event.envelope import CE_ID, Envelope
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_event
from tests.integrations.amqp_rabbitmq.conftest import Make
from tests.integrations.amqp_rabbitmq.support import PATIENCE, wait_until
from tests.integrations.crossing import Crossing

pytestmark = pytest.mark.rabbitmq


@pytest.mark.parametrize(("sender", "receiver"), [("amqp", "stomp"), ("stomp", "amqp"), ("amqp", "amqp")])
class TestOnRabbitMQ(Crossing):
    """Also between two of AMQP, whose headers are written in the way that STOMP needs."""

    headers = {  # noqa: RUF012 - nobody changes it
        **Crossing.headers,
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
    patience = PATIENCE

    def none_left(self, dead: Callable[[], list[DeadLetter]]) -> None:
        """The queue is looked at by taking: what was settled goes a moment later."""
        wait_until(lambda: dead() == [])

    def test_a_native_id_and_an_expiry_cross(self, make: Make, sender: str, receiver: str) -> None:
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
