"""StompProvider on RabbitMQ holds the conformance suite."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("stomp")

from aspyx_event import Provider, StompProvider
from aspyx_event.testing.conformance import ProviderConformance
from tests.integrations.stomp.rabbit import api

if TYPE_CHECKING:
    from tests.brokers.rabbitmq import RabbitMQBroker

pytestmark = pytest.mark.rabbitmq


class TestStompRabbitMQ(ProviderConformance):
    """One broker for all tests."""

    downtime = 5.0  # nothing here removes a durable queue after a time

    @pytest.fixture(autouse=True)
    def broker(self, rabbitmq: RabbitMQBroker) -> None:
        self.running = rabbitmq.start()

    def make_provider(self, server_name: str, prefix: str, *, port: int | None = None) -> Provider:
        broker = self.running
        return StompProvider(
            server_name, "127.0.0.1", port or broker.stomp_port, broker.user, broker.password, prefix=prefix
        )

    def broker_port(self) -> int:
        return self.running.stomp_port

    def restart_broker(self) -> None:
        self.running.restart()

    def kill_broker(self) -> None:
        threading.Event().wait(6)  # a quorum queue younger than that does not survive a kill: nothing leads it any more
        self.running.restart(kill=True)

    def queue_names(self) -> set[str]:
        return {queue["name"] for queue in api(self.running, "GET", "/queues/%2F")}
