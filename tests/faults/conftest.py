"""The pairs as a fixture."""

from __future__ import annotations

import pytest

pytest.importorskip("proton")
pytest.importorskip("stomp")

from tests.faults.pairs import PAIRS, Pair


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Pair:
    """Each pair of protocol and broker in turn, under a fresh prefix."""
    name: str = request.param
    return Pair.on(name, request.getfixturevalue(name.partition("/")[2]))
