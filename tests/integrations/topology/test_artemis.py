"""What Artemis has to hold, whether it does, and a provider that creates nothing."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("proton")
pytest.importorskip("stomp")

from aspyx_event import EventManager, LifecycleError, MissingResources, ProviderState
from aspyx_event.exceptions import AttachRefused
from tests.integrations.amqp.support import TIMEOUT, States
from tests.integrations.topology.support import PROTOCOLS, Shop

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker
    from tests.brokers.management import ArtemisManagement

pytestmark = [pytest.mark.artemis, pytest.mark.parametrize("protocol", PROTOCOLS)]


def create(shop: Shop, protocol: str, broker: ArtemisBroker) -> None:
    """Let a provider that may declare everything do so."""
    with EventManager(shop.provider(protocol, broker), registry=shop.registry):
        pass


def test_known_before_the_start(artemis: ArtemisBroker, protocol: str) -> None:
    """With broker= the topology is known without a connection; without, the error says what to do."""
    shop = Shop()
    manager = EventManager(shop.provider(protocol, artemis, broker="artemis"), registry=shop.registry)
    found = {(resource.kind, resource.name): resource for resource in manager.topology().resources}
    assert set(found) == {
        ("address", f"{shop.prefix}.error"),
        ("queue", f"{shop.prefix}.error"),
        ("address", shop.placed),
        ("address-setting", shop.placed),
        ("queue", f"{shop.prefix}.billing"),
        ("address", shop.seen),
        ("queue", f"{shop.prefix}.watching"),
    }
    assert found["queue", f"{shop.prefix}.billing"].properties == {
        "address": shop.placed,
        "routing-type": "MULTICAST",
        "durable": True,
        "auto-delete": False,
    }
    assert found["address", shop.placed].used_by == (shop.placed, "billing")
    with pytest.raises(LifecycleError, match="broker="):
        EventManager(shop.provider(protocol, artemis), registry=shop.registry).topology()


def test_a_check_creates_nothing(artemis: ArtemisBroker, artemis_management: ArtemisManagement, protocol: str) -> None:
    """Everything is missing before the first start, is there after it, and checking changes neither."""
    shop = Shop()
    manager = EventManager(shop.provider(protocol, artemis), registry=shop.registry)
    for _ in range(2):
        differences = manager.check_topology()
        assert {difference.problem for difference in differences} == {"missing"}
        assert {d.resource.name for d in differences if d.resource.kind == "queue"} == shop.queues
        assert {d.resource.name for d in differences if d.resource.kind == "address"} >= {shop.placed, shop.seen}
    assert not shop.queues & set(artemis_management.queues())
    assert not {shop.placed, shop.seen} & artemis_management.addresses()
    with manager:
        assert manager.check_topology() == []
        manager.send_event(shop.Placed(1))
        shop.arrived.wait()


def test_what_differs(artemis: ArtemisBroker, artemis_management: ArtemisManagement, protocol: str) -> None:
    """A wrong kind of queue, a wrong routing type, a queue on another address, and dangerous settings are told."""
    shop = Shop()
    call = artemis_management.call
    options = {"name": f"{shop.prefix}.billing", "address": shop.placed, "routing-type": "MULTICAST", "durable": False}
    call("createQueue", json.dumps(options), True)
    call("createQueue", json.dumps({**options, "name": f"{shop.prefix}.watching"}), True)
    call("createAddress", shop.seen, "ANYCAST")
    call("addAddressSettings", shop.placed, json.dumps({"maxDeliveryAttempts": 3, "deadLetterAddress": ""}))
    try:
        manager = EventManager(shop.provider(protocol, artemis), registry=shop.registry)
        found = {str(d.resource) + " " + d.problem: d.advice for d in manager.check_topology()}
    finally:
        call("removeAddressSettings", shop.placed)
    assert "not durable, although" in found.pop(f"queue '{shop.prefix}.billing' differs")
    assert shop.placed in found.pop(f"queue '{shop.prefix}.watching' missing")
    assert "has ANYCAST, and needs MULTICAST" in found.pop(f"address '{shop.seen}' differs")
    assert "dead-letter-address" in found.pop(f"address-setting '{shop.placed}' differs")
    assert set(found) == {f"{kind} '{shop.prefix}.error' missing" for kind in ("address", "queue")}


def test_declare_false_names_all_that_is_missing(
    artemis: ArtemisBroker, artemis_management: ArtemisManagement, protocol: str
) -> None:
    """start() ends in one error that lists every address and queue, and nothing was created."""
    shop = Shop()
    manager = EventManager(shop.provider(protocol, artemis, declare=False), registry=shop.registry)
    with pytest.raises(MissingResources) as raised:
        manager.start()
    assert {d.resource.name for d in raised.value.differences} == {shop.placed, shop.seen, *shop.queues}
    assert "topology export" in str(raised.value)
    assert not shop.queues & set(artemis_management.queues())
    assert not {shop.placed, shop.seen} & artemis_management.addresses()


def test_declare_false_where_everything_is_there(
    artemis: ArtemisBroker, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With all of it there, it works, and warns of nothing."""
    shop = Shop()
    create(shop, protocol, artemis)
    with (
        caplog.at_level(logging.WARNING, "aspyx_event"),
        EventManager(shop.provider(protocol, artemis, declare=False), registry=shop.registry, strict=True) as manager,
    ):
        manager.send_event(shop.Placed(1))
        manager.send_event(shop.Seen(2))
        shop.arrived.wait(2)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_queue_that_goes_is_not_created_by_attaching_again(
    artemis: ArtemisBroker, artemis_management: ArtemisManagement, protocol: str
) -> None:
    """With declare=False a deleted queue stays deleted, is reported, and is read again once somebody makes it."""
    shop = Shop()
    create(shop, protocol, artemis)
    states = States()
    queue = f"{shop.prefix}.billing"
    provider = shop.provider(protocol, artemis, declare=False)
    provider.start(states, timeout=TIMEOUT)
    try:
        listener = next(listener for listener in shop.registry.listeners if listener.name == "billing")
        provider.subscribe(listener, lambda delivery: delivery.accept(), credit=1, timeout=TIMEOUT)
        artemis_management.delete_queue(queue)

        def told(state: ProviderState) -> bool:
            return state.queue == f"{shop.placed}::{queue}" and "declare=False" in str(state.error)

        states.wait_for(told)
        seen = len(states.seen)
        states.wait_for(told, since=seen)  # a second attempt, which did not create it either
        assert artemis_management.queue(queue) is None
        create(shop, protocol, artemis)
        artemis_management.wait_for(queue, lambda state: state is not None and state.consumer_count == 1, timeout=60)
    finally:
        provider.stop(timeout=5)


def test_a_user_who_may_not_create(
    artemis: ArtemisBroker, artemis_management: ArtemisManagement, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A user who may neither create nor manage works with what is there; one warning says that nothing was checked."""
    shop = Shop()
    guest = {"user": artemis.guest_user, "password": artemis.guest_password, "declare": False}
    with pytest.raises(AttachRefused, match=r"billing|watching"):
        EventManager(shop.provider(protocol, artemis, **guest), registry=shop.registry).start()
    assert not shop.queues & set(artemis_management.queues())
    create(shop, protocol, artemis)
    with (
        caplog.at_level(logging.WARNING, "aspyx_event"),
        EventManager(shop.provider(protocol, artemis, **guest), registry=shop.registry) as manager,
    ):
        manager.send_event(shop.Placed(1))
        shop.arrived.wait()
        differences = manager.check_topology()
    assert {difference.problem for difference in differences} == {"unknown"}
    assert {d.resource.name for d in differences} == {shop.placed, shop.seen, *shop.queues}
    (warning,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.count("could not be checked") == 1
