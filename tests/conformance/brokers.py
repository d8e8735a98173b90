"""The hooks of the conformance suite that a broker answers, whatever the protocol."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.brokers.management import ArtemisManagement
from tests.integrations.stomp.rabbit import api

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker
    from tests.brokers.rabbitmq import RabbitMQBroker


class OnArtemis:
    """One Artemis for all tests."""

    downtime = 45.0

    @pytest.fixture(autouse=True)
    def broker(self, artemis: ArtemisBroker) -> None:
        self.running = artemis.start()

    def restart_broker(self) -> None:
        self.running.restart()

    def kill_broker(self) -> None:
        self.running.restart(kill=True)

    def queue_names(self) -> set[str]:
        with ArtemisManagement(self.running) as management:
            return set(management.queues())


class OnRabbitMQ:
    """One RabbitMQ for all tests."""

    @pytest.fixture(autouse=True)
    def broker(self, rabbitmq: RabbitMQBroker) -> None:
        self.running = rabbitmq.start()

    def restart_broker(self) -> None:
        self.running.restart()

    def kill_broker(self) -> None:
        threading.Event().wait(6)  # a quorum queue younger than that does not survive a kill: nothing leads it any more
        self.running.restart(kill=True)

    def queue_names(self) -> set[str]:
        return {queue["name"] for queue in api(self.running, "GET", "/queues/%2F")}
