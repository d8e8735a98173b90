"""The event of the programs, and a listener that writes the ledger."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from aspyx_event import current_envelope, event, event_listener
from tests.faults.ledger import HANDLED, Ledger

BEGUN = "begun"
"""Entered when a listener begins with an event, HANDLED when it is at its end."""


@dataclass
class Ping:
    """The event; undecorated, because its name is that of a test."""

    number: int = 0


def event_of(prefix: str) -> Any:
    """The event class of one test; all its processes have to name it alike."""
    return event(f"Ping-{prefix}", durable=True)(type("Ping", (Ping,), {"__doc__": Ping.__doc__}))


def listener_of(
    kind: Any, prefix: str, ledger: Ledger, *, seconds: float = 0.0, block: int = -1, concurrency: int | None = None
) -> Any:
    """A listener that works ``seconds`` on each event, and never returns from the one with the number ``block``."""

    def on(received: Any) -> None:
        envelope = current_envelope()
        assert envelope is not None
        ledger.enter(BEGUN, envelope.id)
        threading.Event().wait(None if received.number == block else seconds)
        ledger.enter(HANDLED, envelope.id)

    return event_listener(kind, f"ping-{prefix}", concurrency=concurrency)(on)
