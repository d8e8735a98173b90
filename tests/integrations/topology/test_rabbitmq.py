"""What RabbitMQ has to hold, whether it does, and a provider that creates nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("proton")
pytest.importorskip("stomp")

from aspyx_event import EventManager, MissingResources, ProviderState
from tests.integrations.amqp.support import TIMEOUT, States, unique
from tests.integrations.stomp.rabbit import api
from tests.integrations.topology.support import PROTOCOLS, Shop

if TYPE_CHECKING:
    from tests.brokers.rabbitmq import RabbitMQBroker

pytestmark = [pytest.mark.rabbitmq, pytest.mark.parametrize("protocol", PROTOCOLS)]


@pytest.fixture
def running(rabbitmq: RabbitMQBroker) -> RabbitMQBroker:
    return rabbitmq.start()


@pytest.fixture
def guest(running: RabbitMQBroker) -> Iterator[dict[str, Any]]:
    """A user who may read and write everything, and configure nothing."""
    name = unique("guest")
    api(running, "PUT", f"/users/{name}", {"password": "guest-s3cret", "tags": ""})
    api(running, "PUT", f"/permissions/%2F/{name}", {"configure": "", "write": ".*", "read": ".*"})
    yield {"user": name, "password": "guest-s3cret"}
    api(running, "DELETE", f"/users/{name}")


def queues(shop: Shop) -> set[str]:
    """Their names on RabbitMQ."""
    stem = shop.prefix
    return {f"{shop.placed}::{stem}.billing", f"{shop.seen}::{stem}.watching", f"{stem}.error"}


def there(broker: RabbitMQBroker, shop: Shop) -> set[str]:
    """The names of all queues and exchanges of a shop."""
    names = {entry["name"] for kind in ("queues", "exchanges") for entry in api(broker, "GET", f"/{kind}/%2F")}
    return {name for name in names if any(part in name for part in (shop.prefix, shop.placed, shop.seen))}


def create(shop: Shop, protocol: str, broker: RabbitMQBroker) -> None:
    """Let a provider that may declare everything do so."""
    with EventManager(shop.provider(protocol, broker), registry=shop.registry):
        pass


def known(differences: list[Any]) -> set[str]:
    """What is said of all that can be known."""
    return {f"{d.problem} {d.resource}" for d in differences if d.problem != "unknown"}


def test_known_before_the_start(running: RabbitMQBroker, protocol: str) -> None:
    """With broker= the topology is known without a connection: exchanges over AMQP, amq.topic over STOMP."""
    shop = Shop()
    manager = EventManager(shop.provider(protocol, running, broker="rabbitmq"), registry=shop.registry)
    found = {(resource.kind, resource.name): resource for resource in manager.topology().resources}
    assert {name for kind, name in found if kind == "queue"} == queues(shop)
    queue = f"{shop.placed}::{shop.prefix}.billing"
    assert found["queue", queue].properties["x-dead-letter-routing-key"] == f"{shop.prefix}.error"
    exchanges = {name for kind, name in found if kind == "exchange"}
    assert exchanges == ({shop.placed, shop.seen} if protocol == "amqp" else set())
    source = shop.placed if protocol == "amqp" else "amq.topic"
    assert found["binding", f"{source} -> {queue}"].properties["routing_key"] == shop.placed


def test_a_check_creates_nothing(running: RabbitMQBroker, protocol: str) -> None:
    """Everything is missing before the first start, is there after it, and checking changes neither."""
    shop = Shop()
    manager = EventManager(shop.provider(protocol, running), registry=shop.registry)
    for _ in range(2):
        found = known(manager.check_topology())
        assert {f"missing queue {name!r}" for name in queues(shop)} <= found
        if protocol == "amqp":
            assert {f"missing exchange {name!r}" for name in (shop.placed, shop.seen)} <= found
    assert there(running, shop) == set()
    with manager:
        differences = manager.check_topology()
        assert known(differences) == set()
        assert {d.resource.kind for d in differences} == (set() if protocol == "amqp" else {"binding"})
        manager.send_event(shop.Placed(1))
        shop.arrived.wait()


def test_what_differs(running: RabbitMQBroker, protocol: str) -> None:
    """A queue of another kind is told, with what it has to be; so is a missing binding, over AMQP."""
    shop = Shop()
    create(shop, protocol, running)
    name = f"{shop.placed}::{shop.prefix}.billing".replace(":", "%3A")
    api(running, "DELETE", f"/queues/%2F/{name}")
    api(running, "PUT", f"/queues/%2F/{name}", {"durable": True, "arguments": {"x-queue-type": "classic"}})
    differences = EventManager(shop.provider(protocol, running), registry=shop.registry).check_topology()
    (queue,) = [d for d in differences if d.resource.kind == "queue"]
    assert queue.problem == "differs"
    assert "quorum" in queue.advice
    bound = {d.problem for d in differences if d.resource.properties.get("destination", "").endswith("billing")}
    assert bound == ({"missing"} if protocol == "amqp" else {"unknown"})


def test_declare_false_names_all_that_is_missing(running: RabbitMQBroker, protocol: str) -> None:
    """start() ends in one error that lists every queue, and exchange, and nothing was created."""
    shop = Shop()
    with pytest.raises(MissingResources) as raised:
        EventManager(shop.provider(protocol, running, declare=False), registry=shop.registry).start()
    missing = {d.resource.name for d in raised.value.differences if d.resource.kind in ("queue", "exchange")}
    assert missing == queues(shop) | ({shop.placed, shop.seen} if protocol == "amqp" else set())
    assert there(running, shop) == set()


def test_declare_false_where_everything_is_there(
    running: RabbitMQBroker, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With all of it there, it works; over STOMP one warning says that bindings were not checked."""
    shop = Shop()
    create(shop, protocol, running)
    with (
        caplog.at_level(logging.WARNING, "aspyx_event"),
        EventManager(shop.provider(protocol, running, declare=False), registry=shop.registry) as manager,
    ):
        manager.send_event(shop.Placed(1))
        manager.send_event(shop.Seen(2))
        shop.arrived.wait(2)
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == (0 if protocol == "amqp" else 1)
    assert all(text.count("bindings cannot be asked for") == 1 for text in warnings)


def test_a_queue_that_goes_is_not_created_by_attaching_again(running: RabbitMQBroker, protocol: str) -> None:
    """With declare=False a deleted queue stays deleted, and is reported."""
    shop = Shop()
    create(shop, protocol, running)
    states = States()
    queue = f"{shop.placed}::{shop.prefix}.billing"
    provider = shop.provider(protocol, running, declare=False)
    provider.start(states, timeout=TIMEOUT)
    try:
        listener = next(listener for listener in shop.registry.listeners if listener.name == "billing")
        provider.subscribe(listener, lambda delivery: delivery.accept(), credit=1, timeout=TIMEOUT)
        api(running, "DELETE", f"/queues/%2F/{queue.replace(':', '%3A')}")

        def told(state: ProviderState) -> bool:
            return state.queue == queue and "declare=False" in str(state.error)

        states.wait_for(told)
        states.wait_for(told, since=len(states.seen))
        assert queue not in there(running, shop)
    finally:
        provider.stop(timeout=5)


def test_a_user_who_may_not_configure(
    running: RabbitMQBroker, guest: dict[str, Any], protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A user who may create nothing gets the missing queues named, and works with those that are there."""
    shop = Shop()
    with pytest.raises(MissingResources) as raised:
        EventManager(shop.provider(protocol, running, **guest, declare=False), registry=shop.registry).start()
    named = {d.resource.name for d in raised.value.differences}
    assert {f"{shop.placed}::{shop.prefix}.billing", f"{shop.seen}::{shop.prefix}.watching"} <= named
    create(shop, protocol, running)
    caplog.clear()
    with (
        caplog.at_level(logging.WARNING, "aspyx_event"),
        EventManager(shop.provider(protocol, running, **guest, declare=False), registry=shop.registry) as manager,
    ):
        manager.send_event(shop.Placed(1))
        shop.arrived.wait()
        assert known(manager.check_topology()) == set()
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert [text.count("could be checked") for text in warnings] == ([] if protocol == "amqp" else [2])
