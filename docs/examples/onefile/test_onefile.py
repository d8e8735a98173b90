"""The conformance suite on onefile."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from onefile import OnefileProvider

from aspyx_event import Provider, provider_from_url
from aspyx_event.testing.conformance import ProviderConformance


class TestOnefile(ProviderConformance):
    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path) -> None:
        self.path = str(tmp_path / "events.db")

    def make_provider(self, server_name: str, prefix: str, *, port: int | None = None) -> Provider:
        return OnefileProvider(self.path, server_name=server_name, prefix=prefix)

    def queue_names(self) -> set[str]:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return {name for (name,) in connection.execute("SELECT name FROM queues")}


def test_the_url() -> None:
    """The entry point makes the provider of the URL's path."""
    assert repr(provider_from_url("onefile:////var/events.db")) == "<OnefileProvider /var/events.db stopped>"
