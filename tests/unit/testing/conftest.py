"""Fixtures for the tests of the proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aspyx_event.testing.proxy import TcpProxy
from tests.unit.testing.peers import Peers


@pytest.fixture
def peers() -> Iterator[Peers]:
    """A server, a proxy before it, and clients."""
    made = Peers()
    yield made
    made.close()


@pytest.fixture
def proxy(peers: Peers) -> TcpProxy:
    """The proxy of the peers."""
    return peers.proxy
