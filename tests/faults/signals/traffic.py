"""Events that are sent while something is done to a process, and the account at the end."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from types import TracebackType

from aspyx_event import EventError, EventManager, EventRegistry
from aspyx_event.timing import Deadline
from tests.faults.ledger import CONFIRMED, HANDLED, REFUSED, SENT, Account, Ledger, missing
from tests.faults.pairs import Pair
from tests.faults.signals.event import event_of, listener_of
from tests.faults.waiting import wait_until

_THREADS = 2
_STANDSTILL = 40.0
"""Seconds without any event after which the account is made, with what is missing as lost."""


class Traffic:
    """Sends to the queue of the programs, from threads, between ``start`` and ``stop``; knows what became of it."""

    def __init__(self, pair: Pair, ledger: Path) -> None:
        self.pair = pair
        self.ledger = Ledger(ledger)
        self.kind = event_of(pair.prefix)
        self._url = pair.url()
        self._manager = EventManager(self._url, registry=EventRegistry().register(self.kind))
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def send(self, number: int = 0) -> str:
        """Send one event; the ledger has it. Answers its id."""
        id = uuid.uuid4().hex
        self.ledger.enter(SENT, id)
        try:
            self._manager.send_event(self.kind(number), id=id)
        except EventError as error:
            self.ledger.enter(REFUSED, id, note=type(error).__name__)
        else:
            self.ledger.enter(CONFIRMED, id)
        return id

    def start(self) -> None:
        """Begin to send without end."""
        self._over.clear()
        self._threads = [threading.Thread(target=self._send_on, name=f"traffic-{n}") for n in range(_THREADS)]
        for thread in self._threads:
            thread.start()

    def _send_on(self) -> None:
        while not self._over.wait(0.01):  # a backlog, and no mountain
            self.send()

    def stop(self) -> None:
        """No further events."""
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def count(self, what: str) -> int:
        """How many entries of a kind there are."""
        return sum(self.ledger.ids(what).values())

    def wait_for_handled(self, more: int) -> None:
        """Wait until so many more events have been handled."""
        before = self.count(HANDLED)
        wait_until(lambda: self.count(HANDLED) >= before + more, f"{more} more events handled")

    def account(self) -> Account:
        """Handle here what is left, and count."""
        self.stop()
        listener = listener_of(self.kind, self.pair.prefix, self.ledger)
        with EventManager(self._url, registry=EventRegistry().register(listener)):
            confirmed = self.ledger.ids(CONFIRMED)
            pause, handled = threading.Event(), -1
            while missing(self.ledger, confirmed) and self.count(HANDLED) > handled:  # give up when nothing comes
                handled = self.count(HANDLED)
                patience = Deadline(_STANDSTILL)
                while self.count(HANDLED) == handled and not patience.passed:
                    pause.wait(1.0)  # seldom: the ledger is the listener's as well
            pause.wait(0.5)  # for what would come twice
        return Account.of(self.ledger)

    def __enter__(self) -> Traffic:
        self._manager.start(listen=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._manager.stop()
        self.ledger.close()
