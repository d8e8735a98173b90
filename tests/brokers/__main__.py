"""Put every broker, foreign client and browser that can be had here onto it, so that no test waits for a download."""

from __future__ import annotations

import os
import sys

from tests.browser import Browser
from tests.integrations.jms.client import JmsClient

from .activemq import ActiveMQBroker
from .artemis import ArtemisBroker
from .base import Broker
from .host import BrokerUnavailable
from .rabbitmq import RabbitMQBroker

INSTALLED: tuple[type[Broker] | type[Browser] | type[JmsClient], ...] = (
    ArtemisBroker,
    RabbitMQBroker,
    ActiveMQBroker,
    JmsClient,
    Browser,
)


def main() -> int:
    """Return 1 when one is missing and brokers are required."""
    missing = 0
    for kind in INSTALLED:
        try:
            kind.install()
        except BrokerUnavailable as error:
            missing += 1
            sys.stdout.write(f"{kind.name}: {error}\n")
        else:
            sys.stdout.write(f"{kind.name}: ready\n")
    return int(missing > 0 and os.environ.get("ASPYX_REQUIRE_BROKERS") == "1")


if __name__ == "__main__":
    sys.exit(main())
