"""LocalProvider holds the conformance suite."""

from __future__ import annotations

import uuid

import pytest

from aspyx_event import LocalProvider, Provider
from aspyx_event.testing.conformance import ProviderConformance


class TestLocal(ProviderConformance):
    """Several providers on one bus in memory."""

    @pytest.fixture(autouse=True)
    def bus(self) -> None:
        self.keep = LocalProvider(f"conformance-{uuid.uuid4()}")  # a bus lives as long as somebody holds it

    def make_provider(self, server_name: str, prefix: str, *, port: int | None = None) -> Provider:
        assert port is None
        return LocalProvider(self.keep.bus.name, server_name=server_name, prefix=prefix)

    def queue_names(self) -> set[str]:
        return set(self.keep.bus.queues)
