"""Names of queues and of this process, the same on every transport."""

from __future__ import annotations

import functools
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

    template: the server name, which must differ per process; ``{host}`` and ``{pid}`` in it are replaced.
    prefix: separates applications that share a broker.

    Raises ConfigurationError for an empty or impossible name.
    """

    template: str = DEFAULT_SERVER_NAME
    prefix: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.template, str) or not self.template.strip():
            raise ConfigurationError(
                f"server_name is {self.template!r}: give every process a name of its own, "
                "such as 'orders-{host}-{pid}'"
            )
        check_name(self.server_name, "server_name")
        if self.prefix:
            check_name(self.prefix, "prefix")

    @property
    def server_name(self) -> str:
        """The name of this process: of the one that asks, which may be a fork of the one that made this object."""
        return _expanded(self.template)

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


@functools.lru_cache(maxsize=64)
def _expanded(template: str) -> str:
    return template.replace("{host}", socket.gethostname()).replace("{pid}", str(os.getpid()))


if hasattr(os, "register_at_fork"):  # each event that is sent asks for the name: the process is asked once
    os.register_at_fork(after_in_child=_expanded.cache_clear)


def split_queue_name(queue: str) -> tuple[str, str]:
    """``("event", "queue")`` of a canonical name; a plain queue has an empty event."""
    event, separator, name = queue.partition("::")
    return (event, name) if separator else ("", queue)
