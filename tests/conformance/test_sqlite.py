"""SqliteProvider holds the conformance suite."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from aspyx_event import Provider
from aspyx_event.providers.sqlite import SqliteProvider
from aspyx_event.testing.conformance import ProviderConformance


class TestSqlite(ProviderConformance):
    """A file for each test; there is no connection that could be cut, and no broker that could be restarted."""

    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path) -> None:
        self.path = str(tmp_path / "events.db")

    def make_provider(self, server_name: str, prefix: str, *, port: int | None = None) -> Provider:
        assert port is None
        return SqliteProvider(self.path, server_name=server_name, prefix=prefix)

    def queue_names(self) -> set[str]:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return {name for (name,) in connection.execute("SELECT name FROM queues")}
