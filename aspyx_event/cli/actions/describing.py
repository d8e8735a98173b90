"""``describe``: what is wired to what."""

from __future__ import annotations

from typing import Any

from aspyx_event.cli.codes import OK
from aspyx_event.cli.screen import Screen
from aspyx_event.manager import EventManager
from aspyx_event.registry import EventRegistry


def describe(manager: EventManager, screen: Screen, *, as_json: bool = False) -> int:
    """The table of ``manager.describe()``, or the same as JSON. Connects to nothing."""
    if as_json:
        screen.json(wiring(manager))
    else:
        screen.text(str(manager.describe()))
    return OK


def wiring(manager: EventManager) -> dict[str, Any]:
    """``manager.describe()`` for scripts: the broker, the error queue, and a row for each listener."""
    rows = [
        {
            "event": row.event,
            "durable": row.durable,
            "listener": row.listener or None,
            "queue": row.queue or None,
            "concurrency": row.concurrency,
            "attempts": row.attempts,
            "state": row.health.state if row.health else None,
        }
        for row in manager.describe().rows
    ]
    return {"provider": repr(manager.provider), "error_queue": manager.provider.error_queue, "wiring": rows}


def counted(registry: EventRegistry) -> str:
    """How much there is, as in ``2 events and 1 listener``."""
    found = (("event", registry.events), ("listener", registry.listeners))
    return " and ".join(f"{len(things)} {name}{'' if len(things) == 1 else 's'}" for name, things in found)
