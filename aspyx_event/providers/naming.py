"""Names of queues and of this process, the same on every transport."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from aspyx_event.events import check_name
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.listeners import EventListenerDescriptor

DEFAULT_SERVER_NAME = "{host}-{pid}"


@dataclass(frozen=True)
class Naming:
    """How the queues of one provider are called.

    server_name: must differ per process; ``{host}`` and ``{pid}`` in it are replaced.
    prefix: separates applications that share a broker.

    Raises ConfigurationError for an empty or impossible name.
    """

    server_name: str = DEFAULT_SERVER_NAME
    prefix: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.server_name, str) or not self.server_name.strip():
            raise ConfigurationError(
                f"server_name is {self.server_name!r}: give every process a name of its own, "
                "such as 'orders-{host}-{pid}'"
            )
        expanded = self.server_name.replace("{host}", socket.gethostname()).replace("{pid}", str(os.getpid()))
        object.__setattr__(self, "server_name", check_name(expanded, "server_name"))
        if self.prefix:
            check_name(self.prefix, "prefix")

    @property
    def error_queue(self) -> str:
        """The queue for dead letters: ``error``, or ``<prefix>.error``."""
        return f"{self.prefix}.error" if self.prefix else "error"

    def queue_name(self, listener: EventListenerDescriptor) -> str:
        """``<event>::[<prefix>.]<listener>[-<server name>]``, the server name for per_process listeners only."""
        name = f"{self.prefix}.{listener.name}" if self.prefix else listener.name
        return (
            f"{listener.event.name}::{name}-{self.server_name}"
            if listener.per_process
            else f"{listener.event.name}::{name}"
        )


def split_queue_name(queue: str) -> tuple[str, str]:
    """``("event", "queue")`` of a canonical name; a plain queue has an empty event."""
    event, separator, name = queue.partition("::")
    return (event, name) if separator else ("", queue)
