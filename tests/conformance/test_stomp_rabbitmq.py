"""StompProvider on RabbitMQ holds the conformance suite."""

from __future__ import annotations

import pytest

pytest.importorskip("stomp")

from aspyx_event import Provider, StompProvider
from aspyx_event.testing.conformance import ProviderConformance
from tests.conformance.brokers import OnRabbitMQ

pytestmark = pytest.mark.rabbitmq


class TestStompRabbitMQ(OnRabbitMQ, ProviderConformance):
    """One broker for all tests."""

    downtime = 5.0  # nothing here removes a durable queue after a time

    def make_provider(self, server_name: str, prefix: str, *, port: int | None = None) -> Provider:
        broker = self.running
        return StompProvider(
            server_name, "127.0.0.1", port or broker.stomp_port, broker.user, broker.password, prefix=prefix
        )

    def broker_port(self) -> int:
        return self.running.stomp_port
