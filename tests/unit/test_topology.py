"""Topologies, differences, and what a manager makes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aspyx_event import (
    ConfigurationError,
    Difference,
    EventManager,
    EventRegistry,
    LifecycleError,
    LocalProvider,
    MissingResources,
    Resource,
    Topology,
)
from aspyx_event.topology import DIFFERS, MISSING, QUEUE, UNKNOWN, combined, merged, required
from tests.unit.delivery.events import Placed, Shipped, listening
from tests.unit.fake_provider import FakeProvider
from tests.unit.support import managed


def a_queue(name: str = "orders", *users: str, **properties: Any) -> Resource:
    return Resource(QUEUE, name, properties, users)


def a_registry() -> EventRegistry:
    registry = EventRegistry()
    for thing in (listening(lambda e: None), listening(lambda e: None, "own", Shipped, per_process=True)):
        registry.register(thing)
    return registry


def test_a_topology_prints_as_a_table() -> None:
    """Printing shows a column for each thing to know, values as brokers write them."""
    topology = Topology("artemis", (a_queue("orders", "Billing", "Shipping", durable=True, dlx=""), a_queue("e")))
    assert str(topology).splitlines() == [
        "what artemis has to hold",
        "",
        "kind   name    properties            used by",
        "-----  ------  --------------------  -----------------",
        "queue  orders  durable=true, dlx=''  Billing, Shipping",
        "queue  e",
    ]


def test_topologies_and_differences_are_json() -> None:
    """to_dict goes through JSON unchanged."""
    topology = Topology("artemis", (a_queue("orders", "Billing", durable=True),))
    difference = Difference(topology.resources[0], MISSING, "create it")
    for plain in (topology.to_dict(), difference.to_dict()):
        assert json.loads(json.dumps(plain)) == plain
    assert difference.to_dict()["used_by"] == ["Billing"]
    assert str(difference) == "missing: queue 'orders' (used by Billing): create it"


def test_merging_names_all_users_once() -> None:
    """What several targets need is one resource, used by all of them, in the order of first need."""
    merged_ones = merged("x", [a_queue("a", "L1"), a_queue("b", "L2"), a_queue("a", "L2", durable=True)])
    assert merged_ones.resources == (a_queue("a", "L1", "L2", durable=True), a_queue("b", "L2"))
    differences = [Difference(a_queue("a", user), MISSING, "create it") for user in ("L1", "L2", "L1")]
    assert combined(differences) == [Difference(a_queue("a", "L1", "L2"), MISSING, "create it")]


def test_what_is_required() -> None:
    """What is missing is one error that names all of it; the rest are sentences."""
    missing = [Difference(a_queue(name), MISSING, "create it") for name in ("a", "b")]
    others = [Difference(a_queue("c"), DIFFERS, "it is not durable"), Difference(a_queue("d"), UNKNOWN, "no right")]
    assert required(others) == [
        "queue 'c': it is not durable",
        "declare=False, and not every queue could be checked: no right",
    ]
    with pytest.raises(MissingResources, match=r"(?s)queue 'a'.*queue 'b'.*topology export.*declare=True") as raised:
        required([*others, *missing])
    assert raised.value.differences == tuple(missing)


def test_the_local_topology() -> None:
    """LocalProvider knows its topology before start, and checks it without declaring anything."""
    provider = LocalProvider(server_name="me")
    manager = EventManager(provider, registry=a_registry())
    names = [resource.name for resource in manager.topology().resources]
    assert names == ["error", "Placed::listener", "Shipped::own-me"]
    assert [difference.resource.name for difference in manager.check_topology()] == names
    assert provider.bus.queues == ()
    assert not provider.connected
    with manager:
        assert manager.check_topology() == []
    with pytest.raises(LifecycleError, match="start"):
        provider.check([], timeout=1)


def test_while_it_starts() -> None:
    """A question during the start is refused, one that fails leaves the manager as it was."""
    provider = FakeProvider()
    manager = EventManager(provider, registry=a_registry())
    with pytest.raises(ConfigurationError, match=r"FakeProvider.*has no check"):
        manager.check_topology()
    assert provider.stops == 1
    refused: list[Exception] = []

    def ask(_subscription: Any) -> None:
        try:
            manager.check_topology()
        except LifecycleError as error:
            refused.append(error)

    provider.during_subscribe = ask
    with manager:
        assert len(refused) == 2
        with pytest.raises(ConfigurationError, match=r"FakeProvider.*has no topology"):
            manager.topology()


def test_everything_missing_is_one_error() -> None:
    """start names all that is missing at once, also what only listening needs, and attaches nothing."""
    provider = FakeProvider()
    lacking = {"error": "error", "Placed": "Placed", "Shipped::own-fake": "own"}
    for queue, user in lacking.items():
        provider.fail_declare[queue] = MissingResources([Difference(a_queue(queue, user), MISSING, "create it")])
    manager = EventManager(provider, registry=a_registry())
    with pytest.raises(MissingResources) as raised:
        manager.start()
    assert [difference.resource.name for difference in raised.value.differences] == list(lacking)
    assert provider.subscriptions == {}
    assert provider.stops == 1


def test_what_only_attaching_finds() -> None:
    """Where attaching finds out, all listeners are tried before the error."""
    provider = FakeProvider()
    provider.fail_declare["Shipped::own-fake"] = MissingResources([Difference(a_queue("own"), MISSING, "create it")])
    with managed(
        listening(lambda e: None, "own", Shipped, per_process=True),
        listening(lambda e: None, "last", Placed),
        provider=provider,
        start=False,
    ) as manager:
        with pytest.raises(MissingResources, match="own"):
            manager.start()
        assert set(provider.subscriptions) == {"last"}
        assert provider.stops == 1
