"""Providers of both protocols, connected to the session's RabbitMQ and stopped after the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable

import pytest

pytest.importorskip("proton")
pytest.importorskip("stomp")

from aspyx_event.provider import Provider
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.providers.stomp import StompProvider
from tests.integrations.amqp.support import TIMEOUT, States, unique

if TYPE_CHECKING:
    from tests.brokers.rabbitmq import RabbitMQBroker

Make = Callable[..., Provider]


@pytest.fixture
def broker(rabbitmq: RabbitMQBroker) -> RabbitMQBroker:
    """The broker, running."""
    rabbitmq.start()
    return rabbitmq


@pytest.fixture
def make(broker: RabbitMQBroker) -> Iterator[Make]:
    """Make (and, unless told not to, start) a provider; ``on_state=`` hears its reports."""
    made: list[Provider] = []

    def build(protocol: str = "amqp", *, start: bool = True, on_state: Any = None, **options: Any) -> Provider:
        kind: Any
        kind, port = (AMQPProvider, broker.amqp_port) if protocol == "amqp" else (StompProvider, broker.stomp_port)
        options.setdefault("server_name", unique("server"))
        options.setdefault("host", "127.0.0.1")
        options.setdefault("port", port)
        options.setdefault("user", broker.user)
        options.setdefault("password", broker.password)
        provider: Provider = kind(**options)
        made.append(provider)
        if start:
            provider.start(on_state or States(), timeout=TIMEOUT)
        return provider

    yield build
    for provider in made:
        provider.stop(timeout=5)


@pytest.fixture
def provider(make: Make) -> Provider:
    """A started AMQP provider."""
    return make()
