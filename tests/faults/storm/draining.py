"""After the storm: everything drains."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Callable, Protocol

from aspyx_event import DeadLetter, EventManager, EventRegistry
from tests.faults.ledger import CONFIRMED, DEAD, Ledger, missing
from tests.faults.pairs import Pair
from tests.faults.storm.children import Child
from tests.faults.storm.events import kind_of

_CONFIRMED = 120.0
_DRAINED = 180.0
_DEAD = 90.0
LOOK_AGAIN = 2.0


class Scene(Protocol):
    """A storm, as it is seen from here."""

    pair: Pair
    never: threading.Event

    @property
    def children(self) -> Mapping[str, Child]:
        """By name."""

    def trouble(self, text: str) -> None:
        """Something is not as promised."""


def drain(scene: Scene, ledger: Ledger) -> None:
    """End the sending, wait until every confirmed event is handled or dead, and enter the dead ones."""
    for child in scene.children.values():
        child.quiet()
    names = list(scene.children)
    left = wait_until_empty(
        scene, lambda: {id for name in names for id in ledger.unconfirmed(name)}, seconds=_CONFIRMED, pause=0.2
    )
    if left:
        scene.trouble(f"{len(left)} events are sent and not confirmed after {_CONFIRMED:g} s, such as {min(left)}")
    wait_until_empty(scene, lambda: _expected(ledger), seconds=_DRAINED, pause=0.5)
    letters: list[DeadLetter] = []

    def nowhere() -> set[str]:
        letters[:] = read_error_queue(scene.pair)
        return missing(ledger, ledger.ids(CONFIRMED)) - {letter.id for letter in letters}

    wait_until_empty(scene, nowhere, seconds=_DEAD, pause=LOOK_AGAIN)
    for letter in letters:
        ledger.enter(DEAD, letter.id, note=letter.reason)
        if kind_of(letter.id) != "fatal":
            scene.trouble(f"{letter.id} is a dead letter ({letter.reason}): {letter.error_type} {letter.error_message}")


def read_error_queue(pair: Pair) -> list[DeadLetter]:
    """All of it, by a manager of its own and past all proxies."""
    manager = EventManager(pair.url(server_name=f"reader-{pair.prefix}"), registry=EventRegistry())
    manager.start(listen=False)
    try:
        return list(manager.dead_letters())
    finally:
        manager.stop()


def _expected(ledger: Ledger) -> set[str]:
    """Confirmed events that are still to be handled."""
    return {id for id in missing(ledger, ledger.ids(CONFIRMED)) if kind_of(id) != "fatal"}


def wait_until_empty(scene: Scene, left: Callable[[], set[str]], *, seconds: float, pause: float) -> set[str]:
    """Wait until there is nothing left; what is left in the end."""
    end = time.monotonic() + seconds
    while True:
        found = left()
        if not found or time.monotonic() > end:
            return found
        scene.never.wait(pause)
