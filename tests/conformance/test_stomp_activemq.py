"""StompProvider on ActiveMQ Classic holds the conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("stomp")

from aspyx_event import Provider
from aspyx_event.providers.stomp import StompProvider
from aspyx_event.testing.conformance import Bench, ProviderConformance

if TYPE_CHECKING:
    from tests.brokers.activemq import ActiveMQBroker

pytestmark = pytest.mark.activemq


class TestStompActiveMQ(ProviderConformance):
    """One broker for all tests."""

    downtime = 45.0

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

    def test_a_listener_name_of_another_event_is_refused(self, bench: Bench) -> None:
        pytest.skip("the names of queues hold the event's name here, so two events never share one")
