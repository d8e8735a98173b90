"""StompProvider on ActiveMQ Classic holds the conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("stomp")

from aspyx_event import Provider, StompProvider
from aspyx_event.testing.conformance import ProviderConformance

if TYPE_CHECKING:
    from tests.brokers.activemq import ActiveMQBroker

pytestmark = pytest.mark.activemq


class TestStompActiveMQ(ProviderConformance):
    """One broker for all tests."""

    downtime = 5.0  # nothing here removes a durable queue after a time

    @pytest.fixture(autouse=True)
    def broker(self, activemq: ActiveMQBroker) -> None:
        self.running = activemq.start()

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
        self.running.restart(kill=True)
