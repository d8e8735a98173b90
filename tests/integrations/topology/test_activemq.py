"""What ActiveMQ Classic has to hold, and that nothing is pretended where it cannot be asked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("stomp")
pytest.importorskip("proton")

from aspyx_event import EventManager
from tests.integrations.topology.support import Shop

if TYPE_CHECKING:
    from tests.brokers.activemq import ActiveMQBroker

pytestmark = pytest.mark.activemq


def test_known_before_the_start(activemq: ActiveMQBroker) -> None:
    """The queues are called as Classic wants them: no dot in the listener's part."""
    shop = Shop()
    manager = EventManager(shop.provider("stomp", activemq, broker="activemq"), registry=shop.registry)
    found = {(resource.kind, resource.name) for resource in manager.topology().resources}
    assert found == {
        ("queue", f"{shop.prefix}.error"),
        ("topic", f"VirtualTopic.{shop.placed}"),
        ("topic", f"VirtualTopic.{shop.seen}"),
        ("queue", f"Consumer.{shop.prefix}~billing.VirtualTopic.{shop.placed}"),
        ("queue", f"Consumer.{shop.prefix}~watching.VirtualTopic.{shop.seen}"),
    }


def test_everything_is_unknown(activemq: ActiveMQBroker) -> None:
    """Nothing can be asked over STOMP, so all is unknown, before and after the start."""
    shop = Shop()
    manager = EventManager(shop.provider("stomp", activemq.start()), registry=shop.registry)
    for _ in range(2):
        differences = manager.check_topology()
        assert len(differences) == len(manager.topology().resources)
        assert {difference.problem for difference in differences} == {"unknown"}
        assert all("cannot be asked" in difference.advice for difference in differences)
        manager.start()
    manager.stop()


def test_declare_false_says_so_once(activemq: ActiveMQBroker, caplog: pytest.LogCaptureFixture) -> None:
    """With declare=False it works, and one warning says what could not be checked."""
    shop = Shop()
    with caplog.at_level(logging.WARNING, "aspyx_event"):
        provider = shop.provider("stomp", activemq.start(), declare=False)
        with EventManager(provider, registry=shop.registry) as manager:
            manager.send_event(shop.Placed(1))
            shop.arrived.wait()
    (warning,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.count("cannot be asked") == 1
