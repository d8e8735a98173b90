"""The event and the listener that victims and their successors share."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from aspyx_event import EventRegistry, current_envelope, event, event_listener
from tests.faults.ledger import HANDLED, Ledger

FAILED = "failed"
"""A listener raised; the note is the number of the attempt."""

Behaviour = Literal["succeed", "fail", "hold"]


@dataclass(frozen=True)
class Part:
    """What a victim is told, as JSON. ``port``: the broker's own; ``url`` names it too, with the credentials."""

    url: str
    port: int
    name: str
    ledger: str
    point: str
    behaviour: Behaviour = "succeed"
    retries: bool = False
    send: str = ""
    """The id of the event to send; empty: listen."""

    def text(self) -> str:
        """To be given to a program."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Part:
        """As the program reads it."""
        return cls(**json.loads(text))


class Cast:
    """An event called ``name`` and its listener, which enters what it does in a ledger.

    Behaviours: ``succeed``; ``fail``: raise each time; ``hold``: never return. One event at a time, so that nothing
    else is under way when a process dies.
    """

    def __init__(self, name: str, ledger: Path, behaviour: Behaviour = "succeed") -> None:
        self.ledger = Ledger(ledger)

        @event(name, durable=True)
        @dataclass
        class Mark:
            number: int

        @event_listener(Mark, name=f"keeper-{name}", concurrency=1)
        def keep(_event: Mark) -> None:
            envelope = current_envelope()
            assert envelope is not None
            if behaviour == "hold":
                threading.Event().wait()
            self.ledger.enter(HANDLED if behaviour == "succeed" else FAILED, envelope.id, note=str(envelope.attempt))
            if behaviour == "fail":
                raise ValueError("as it was told")

        self.event: Any = Mark
        self.registry = EventRegistry().register(keep)
