"""The pairs as a fixture, and which tests are the short form."""

from __future__ import annotations

import zlib
from collections import defaultdict
from pathlib import Path

import pytest

pytest.importorskip("proton")
pytest.importorskip("stomp")

from tests.faults.pairs import PAIRS, Pair

_PAIR_PARAMETERS = frozenset(("pair", "on_rabbitmq"))


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Pair:
    """Each pair of protocol and broker in turn, under a fresh prefix."""
    name: str = request.param
    return Pair.on(name, request.getfixturevalue(name.partition("/")[2]))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the short form: every test on one pair, in turn."""
    turns: defaultdict[tuple[str, ...], list[pytest.Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.nodeid):
        if Path(__file__).parent in item.path.parents:
            turns[_what_it_tries(item)].append(item)
    places: defaultdict[str, int] = defaultdict(int)
    for (module, *_), same in turns.items():
        turn = zlib.crc32(module.encode()) + places[module]
        places[module] += 1
        chosen = same[turn % len(same)]
        chosen.add_marker(pytest.mark.short)
        if chosen.get_closest_marker("twice") is not None:  # the other protocol on the other broker
            same[-1 - turn % len(same)].add_marker(pytest.mark.short)


def _what_it_tries(item: pytest.Item) -> tuple[str, ...]:
    """The same for all items that differ in the pair only."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    others = [f"{name}={value}" for name, value in sorted(parameters.items()) if name not in _PAIR_PARAMETERS]
    return (item.path.stem, item.name.partition("[")[0], *others)
