"""Durable events between the processes of one machine, in a SQLite file: no broker, nothing but Python."""

from aspyx_event.providers.sqlite.provider import SqliteProvider
from aspyx_event.providers.sqlite.settings import SqliteSettings

__all__ = ["SqliteProvider", "SqliteSettings"]
