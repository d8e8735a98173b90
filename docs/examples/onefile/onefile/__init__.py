"""A provider for aspyx-event: events in one SQLite file, between the processes of one machine."""

from onefile.provider import OnefileProvider, from_url

__all__ = ["OnefileProvider", "from_url"]
