"""AMQPProvider on RabbitMQ holds the conformance suite."""

from __future__ import annotations

import pytest

pytest.importorskip("proton")

from aspyx_event import AMQPProvider, Provider
from aspyx_event.testing.conformance import ProviderConformance
from tests.conformance.brokers import OnRabbitMQ

pytestmark = pytest.mark.rabbitmq


class TestAmqpRabbitMQ(OnRabbitMQ, ProviderConformance):
    """One broker for all tests."""

    downtime = 45.0

    def make_provider(self, server_name: str, prefix: str, *, port: int | None = None) -> Provider:
        broker = self.running
        return AMQPProvider(
            server_name, "127.0.0.1", port or broker.amqp_port, broker.user, broker.password, prefix=prefix
        )

    def broker_port(self) -> int:
        return self.running.amqp_port
