"""AMQP and STOMP on one Artemis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("proton")

from aspyx_event.envelope import CE_ID, Envelope
from aspyx_event.provider import Delivery, Provider
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.providers.stomp import StompProvider
from aspyx_event.providers.stomp.dialects.artemis import ArtemisDialect
from tests.faults.hostile.amqp_corpus import by_hand
from tests.faults.hostile.amqp_sender import ACCEPTED, AMQPSender
from tests.faults.pairs import Pair
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_event, unique
from tests.integrations.crossing import Crossing, Make

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker

pytestmark = pytest.mark.artemis


@pytest.fixture
def make(artemis: ArtemisBroker) -> Iterator[Make]:
    """Providers of both protocols on one broker; those that were started here are stopped."""
    artemis.start()
    made: list[Provider] = []

    def build(protocol: str, *, start: bool = True, **options: Any) -> Provider:
        kind, port = (AMQPProvider, artemis.amqp_port) if protocol == "amqp" else (StompProvider, artemis.stomp_port)
        provider = kind(unique(protocol), "127.0.0.1", port, artemis.user, artemis.password, **options)
        made.append(provider)
        if start:
            provider.start(lambda _state: None, timeout=TIMEOUT)
        return provider

    yield build
    for provider in made:
        provider.stop(timeout=5)


@pytest.mark.parametrize(("sender", "receiver"), [("amqp", "stomp"), ("stomp", "amqp")])
class TestOnArtemis(Crossing):
    """In both directions."""


def test_a_message_that_ends_its_consumer(artemis: ArtemisBroker, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Artemis ends a STOMP consumer without a word over an AMQP message; what comes after it arrives all the same."""
    monkeypatch.setattr(ArtemisDialect, "silence", 1.0)
    sender, receiver = make("stomp"), make("stomp", heartbeat=1.0)
    kind, inbox = an_event(), Inbox()

    def take(delivery: Delivery) -> None:
        inbox(delivery)
        delivery.accept()

    receiver.subscribe(a_listener(kind), take, credit=5, timeout=TIMEOUT)
    hostile = AMQPSender(Pair("amqp", artemis), kind.name)
    try:
        for name in ("a described type", "a symbol", "a UUID"):
            sent = hostile.send([message for message in by_hand() if message.kind == f"AMQP value: {name}"])
            assert set(sent.values()) == {ACCEPTED}
            sender.send(Envelope(b"{}", {CE_ID: f"after {name}"}), kind).result(TIMEOUT)
            came = list(inbox.deliveries)
            while f"after {name}" not in [delivery.read().id for delivery in came]:
                came = inbox.wait(len(came) + 1, 60)
    finally:
        hostile.close()
