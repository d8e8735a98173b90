"""AMQP and STOMP on one Artemis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("proton")

from aspyx_event.provider import Provider
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.providers.stomp import StompProvider
from tests.integrations.amqp.support import TIMEOUT, unique
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
