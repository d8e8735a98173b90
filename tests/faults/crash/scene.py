"""A pair, a ledger, and the processes that die and come after."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag
from typing import Callable

from aspyx_event import EventManager
from aspyx_event.testing.crash import CrashPoint
from aspyx_event.testing.proxy import TcpProxy
from tests.brokers.management import ArtemisManagement
from tests.faults.crash.cast import Cast, Part
from tests.faults.ledger import CONFIRMED, DEAD, HANDLED, SENT, Account, Ledger
from tests.faults.pairs import Pair

logger = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds for what has to happen, on a busy machine."""


class Scene:
    """One event name on one pair; every process enters what it does in one ledger."""

    def __init__(self, pair: Pair, folder: Path) -> None:
        self.pair = pair
        self.name = f"Mark{pair.prefix}"
        self._folder = folder
        self._cast = Cast(self.name, folder / "ledger")
        self.ledger: Ledger = self._cast.ledger

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def ids(self, count: int) -> list[str]:
        """So many ids, in order."""
        return [f"{self.pair.prefix}-{number}" for number in range(count)]

    # -- processes

    @contextmanager
    def manager(self, *, listen: bool, port: int | None = None, **options: object) -> Iterator[EventManager]:
        """A manager of this process, whose listener succeeds."""
        manager = EventManager(self.pair.url(port=port, **options), registry=self._cast.registry)
        manager.start(listen=listen)
        try:
            yield manager
        finally:
            manager.stop()

    def proxy(self) -> TcpProxy:
        """A proxy before the broker; a context manager."""
        return TcpProxy(self.pair.broker.host, self.pair.port)

    def send(self, manager: EventManager, *ids: str, timeout: float = 30) -> None:
        """Send events, and enter them."""
        for number, id in enumerate(ids):
            self.ledger.enter(SENT, id)
            manager.send_event(self._cast.event(number), id=id, timeout=timeout)
            self.ledger.enter(CONFIRMED, id)

    def victim(self, point: CrashPoint, part: Part | None = None) -> int:
        """Run a process that dies at a point; its exit code. What it says is in ``victim.log``."""
        told = replace(part or self.part(), point=point.name)
        log = self._folder / "victim.log"
        with (
            log.open("a") as output,
            subprocess.Popen(
                [sys.executable, "-m", "tests.faults.crash.victim", told.text()], stdout=output, stderr=output
            ) as process,
        ):
            try:
                return process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"the victim did not end: {log.read_text()[-3000:]}") from None

    def part(self) -> Part:
        """What a victim of this scene is told."""
        url = self.pair.url(server_name="victim")
        return Part(url, self.pair.port, self.name, str(self.ledger.path), CrashPoint.ARRIVED.name)

    # -- what has become of it

    def wait(self, condition: Callable[[], bool], what: str, timeout: float = PATIENCE) -> None:
        """Until something is so."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout:g} s: {what}; {Account.of(self.ledger)}, {self.log()}")
            Flag().wait(0.02)

    def wait_handled(self, ids: Iterable[str], times: int = 1) -> None:
        """Until each of these was handled so often."""
        wanted = list(ids)
        what = f"{wanted} handled {times} times"

        def handled() -> bool:
            return all(self.handled(id) >= times for id in wanted)

        if self.pair.name == "stomp/artemis":
            try:
                self.wait(handled, what, timeout=15)
            except AssertionError:
                self._free_what_artemis_keeps()
        self.wait(handled, what)

    def _free_what_artemis_keeps(self) -> None:
        """Restart Artemis, if it still delivers a message to the connection of a killed process.

        One such kill in 200 to 500 ends so (docs/decisions/10), and nothing but a restart brings the message back.
        """
        with ArtemisManagement(self.pair.broker) as management:
            kept = [q for q in management.queues().values() if self.pair.prefix in q.name and q.delivering_count]
        if kept:
            logger.warning("Artemis keeps %s", kept)
            self.pair.broker.restart()

    def handled(self, id: str) -> int:
        """How often an event was handled."""
        return self.ledger.ids(HANDLED)[id]

    def drain(self, manager: EventManager) -> None:
        """Until what lay in the queue before is handled: one more event is, which came last."""
        last = f"{self.pair.prefix}-last"
        self.send(manager, last)
        self.wait_handled([last])

    def account(self, manager: EventManager) -> Account:
        """Enter the dead letters, and sum up."""
        for letter in manager.dead_letters():
            self.ledger.enter(DEAD, letter.id, note=letter.reason)
        return Account.of(self.ledger)

    def log(self) -> str:
        """The last words of the victims."""
        log = self._folder / "victim.log"
        return log.read_text()[-3000:] if log.exists() else ""
