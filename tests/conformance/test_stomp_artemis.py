"""StompProvider on Apache Artemis holds the conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("stomp")

from aspyx_event import Provider, StompProvider
from aspyx_event.testing.conformance import ProviderConformance
from tests.brokers.management import ArtemisManagement

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker

pytestmark = pytest.mark.artemis


class TestStompArtemis(ProviderConformance):
    """One broker for all tests."""

    downtime = 45.0

    @pytest.fixture(autouse=True)
    def broker(self, artemis: ArtemisBroker) -> None:
        self.running = artemis.start()

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

    def queue_names(self) -> set[str]:
        with ArtemisManagement(self.running) as management:
            return set(management.queues())
