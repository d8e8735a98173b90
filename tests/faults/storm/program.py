"""A process of a storm: ``python -m tests.faults.storm.program`` and its settings as JSON.

SIGTERM ends it in good order, SIGUSR1 ends its sending, SIGUSR2 shows its stacks. It does not outlive its parent.
"""

from __future__ import annotations

import faulthandler
import itertools
import json
import logging
import os
import random
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from aspyx_event import (
    EventListener,
    EventManager,
    EventRegistry,
    LifecycleError,
    ProviderError,
    current_envelope,
    event_listener,
)
from tests.faults.ledger import CONFIRMED, HANDLED, REFUSED, SENT, Ledger
from tests.faults.storm.events import (
    ANSWERED,
    FAILURES,
    HEARS,
    PAYLOAD,
    POLICY,
    SENDS,
    Message,
    declared,
    key_of,
    kind_of,
    new_id,
    reply_id,
)

READY = "ready"
"""Entered when a process listens; the id is its name, the note its role."""
TIMEOUTS = (2.0, 10.0, 60.0)
"""Seconds that each sending thread gives one call: the first gives up in an outage, the last one waits for its end."""
WORKERS = 8
PREFETCH = 16
HANDLING = 0.06
"""Seconds that a listener takes, at most: so that something is in flight when its process dies."""

logger = logging.getLogger("storm")


@dataclass(frozen=True)
class Settings:
    """``rate``: events that each thread sends in a second. ``run``: what makes names unique."""

    role: str
    name: str
    url: str
    ledger: str
    run: str
    rate: float


class Failed(Exception):
    """What a listener of a storm raises."""


class Program:
    """Sends one kind of event and handles the other."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledger = Ledger(Path(settings.ledger))
        self._sends = declared(SENDS[settings.role], settings.run)
        registry = EventRegistry().register(self._sends, self._listener())
        self._manager = EventManager(settings.url, registry=registry, workers=WORKERS, retry=POLICY)
        self._numbers = itertools.count()
        self._quiet = threading.Event()
        self._never = threading.Event()

    def run(self) -> int:
        """Go on until SIGTERM; the exit code."""
        signal.signal(signal.SIGUSR1, lambda _number, _frame: self._quiet.set())
        self._start()
        self._ledger.enter(READY, self._settings.name, note=self._settings.role)
        unsettled = self._ledger.unconfirmed(self._settings.name)
        senders = [
            threading.Thread(
                target=self._send, args=(timeout, unsettled[i :: len(TIMEOUTS)]), name=f"sender-{timeout:g}"
            )
            for i, timeout in enumerate(TIMEOUTS)
        ]
        for sender in senders:
            sender.start()
        code = self._manager.run()
        self._quiet.set()
        for sender in senders:
            sender.join()
        self._ledger.close()
        return code

    def _start(self) -> None:
        while True:
            try:
                return self._manager.start()
            except ProviderError as error:
                logger.warning("not started yet: %s: %s", type(error).__name__, error)
                self._never.wait(0.5)

    # -- sending

    def _send(self, timeout: float, unsettled: list[str]) -> None:
        """Resend what a predecessor of this process left without an answer, then send what is new."""
        rng = random.Random()
        sender = f"{self._settings.name}.{os.getpid()}"
        self._wait_for_listeners()
        for id in unsettled:
            self._deliver(id, timeout)
        while not self._quiet.wait(rng.expovariate(self._settings.rate)):
            id = new_id(sender, next(self._numbers), rng=rng, answers=self._settings.role == "shop")
            self._deliver(id, timeout)

    def _wait_for_listeners(self) -> None:
        """What is sent before anybody has a queue for it is lost, and rightly so."""
        while not self._ledger.notes(READY).keys() >= SENDS.keys() and not self._quiet.wait(0.2):
            pass

    def _deliver(self, id: str, timeout: float) -> None:
        """Send it until it is confirmed, or until this process stops."""
        while True:
            self._ledger.enter(SENT, id, note=self._settings.name)
            try:
                self._manager.send_event(self._event(id), id=id, key=key_of(id), timeout=timeout)
            except LifecycleError:
                return
            except ProviderError as error:
                self._ledger.enter(REFUSED, id, note=type(error).__name__)
                if error.event_id != id:
                    raise AssertionError(f"{error!r} names the event {error.event_id}, not {id}") from error
                self._never.wait(0.1)
            else:
                self._ledger.enter(CONFIRMED, id, note=self._settings.name)
                return

    def _event(self, id: str) -> Message:
        return self._sends(id, f"{PAYLOAD} of {id}")

    # -- listening

    def _listener(self) -> EventListener[Message]:
        heard = declared(HEARS[self._settings.role], self._settings.run)
        name = f"{self._settings.role}-{self._settings.run}"

        @event_listener(heard, name=name, prefetch=PREFETCH)
        class Listener(EventListener[Message]):
            def on(self, event: Message) -> None:
                handle(event)

        handle = self._handle
        return Listener()

    def _handle(self, event: Message) -> None:
        envelope = current_envelope()
        assert envelope is not None
        self._never.wait(random.uniform(0, HANDLING))
        kind = kind_of(event.id)
        if envelope.attempt <= FAILURES.get(kind, 0):
            raise Failed(f"attempt {envelope.attempt}")
        if kind == ANSWERED:
            self._answer(reply_id(event.id))
        self._ledger.enter(HANDLED, envelope.id, note=self._settings.role)

    def _answer(self, id: str) -> None:
        """Send from inside a listener: what this raises is a failed attempt, and the next one sends it again."""
        self._ledger.enter(SENT, id)
        try:
            self._manager.send_event(self._event(id), id=id)
        except ProviderError as error:
            self._ledger.enter(REFUSED, id, note=type(error).__name__)
            raise
        self._ledger.enter(CONFIRMED, id)


def _end_with_parent() -> None:
    os.read(0, 1)  # not sys.stdin: its lock, held at the end of the interpreter, is a fatal error
    os._exit(3)


def main() -> int:
    """Run the process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return Program(Settings(**json.loads(sys.argv[1]))).run()


if __name__ == "__main__":
    sys.exit(main())
