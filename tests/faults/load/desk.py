"""A manager on one pair, whose senders and listeners keep account in a ledger."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aspyx_event import (
    EventManager,
    EventRegistry,
    ProviderError,
    Reject,
    RetryPolicy,
    current_envelope,
    event,
    event_listener,
)
from tests.faults.ledger import CONFIRMED, HANDLED, REFUSED, SENT, Account, Ledger, missing
from tests.faults.pairs import Pair
from tests.faults.waiting import wait_until

AT_ONCE = RetryPolicy(immediate=0, delayed=())
WORKERS = 4


class Desk:
    """One durable event type, and two listeners. Thread-safe.

    ``reader`` enters what it gets once ``gate`` is open, and rejects what is sent with
    ``bad=True``. ``bystander`` takes everything, and its ids are in ``seen``.
    """

    def __init__(
        self, pair: Pair, ledger: Ledger, *, port: int | None = None, size: int = 10, **options: object
    ) -> None:
        self.pair = pair
        self.ledger = ledger
        self.gate = threading.Event()
        self.gate.set()
        self.address = f"{pair.prefix}.note"
        made = dataclasses.make_dataclass("Note", [("text", str), ("bad", bool)])
        self._kind: Any = event(name=self.address, durable=True)(made)
        self._text = "x" * size
        self._numbers = itertools.count()
        registry = EventRegistry()
        self.seen: set[str] = set()
        registry.register(self._reader(), self._bystander())
        self.manager = EventManager(pair.url(port=port, **options), registry=registry, retry=AT_ONCE, workers=WORKERS)

    def _reader(self) -> Any:
        @event_listener(self._kind, name="reader")
        def read(note: Any) -> None:
            envelope = current_envelope()
            assert envelope is not None
            self.gate.wait(100)
            if note.bad:
                raise Reject("a bad one")
            self.ledger.enter(HANDLED, envelope.id)

        return read

    def _bystander(self) -> Any:
        @event_listener(self._kind, name="bystander")
        def see(_: Any) -> None:
            envelope = current_envelope()
            assert envelope is not None
            self.seen.add(envelope.id)

        return see

    def send(self, *, bad: bool = False, timeout: float = 30) -> str | None:
        """Send one event, and enter it; its id if it was confirmed."""
        id = f"{self.pair.prefix}-{next(self._numbers)}"
        self.ledger.enter(SENT, id)
        try:
            self.manager.send_event(self._kind(self._text, bad), id=id, timeout=timeout)
        except ProviderError as error:
            self.ledger.enter(REFUSED, id, note=type(error).__name__)
            return None
        self.ledger.enter(CONFIRMED, id)
        return id

    def send_many(self, count: int, *, timeout: float = 30) -> None:
        """Send events that must all be confirmed."""
        with ThreadPoolExecutor(4) as threads:
            sent = list(threads.map(lambda _: self.send(timeout=timeout), range(count)))
        assert all(sent), self.ledger.notes(REFUSED)

    def send_until_refused(self, times: int, *, timeout: float, most: int = 5_000) -> None:
        """Four threads send until each was refused so often in a row."""

        def one_thread(_: int) -> None:
            refused = 0
            for _ in range(most):
                refused = 0 if self.send(timeout=timeout) else refused + 1
                if refused >= times:
                    return
            raise AssertionError(f"{most} events were taken, and none was refused {times} times in a row")

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(one_thread, range(4)))

    def wait_handled(self, *, timeout: float = 60) -> None:
        """Until every confirmed event is handled."""
        wait_until(lambda: not missing(self.ledger, self.ledger.ids(CONFIRMED)), lambda: self.account, timeout=timeout)

    def wait_state(self, state: str, *, timeout: float = 60) -> None:
        """Until the listener is in this state."""
        wait_until(lambda: self.state == state, self.manager.health, timeout=timeout)

    @property
    def state(self) -> str:
        """The listener's, by ``health()``."""
        return self.manager.health().listeners["reader"].state

    @property
    def dead_lettered(self) -> int:
        """How many events this process has put into the error queue."""
        return self.manager.health().listeners["reader"].dead_lettered

    @property
    def sent(self) -> list[str]:
        """The ids of all events."""
        return list(self.ledger.ids(SENT))

    @property
    def account(self) -> Account:
        """What the ledger comes to."""
        return Account.of(self.ledger)


@contextmanager
def running(pair: Pair, folder: Path, **options: Any) -> Iterator[Desk]:
    """A desk whose manager is started, and stopped at the end."""
    with Ledger(folder / "ledger") as ledger:
        desk = Desk(pair, ledger, **options)
        with desk.manager:
            try:
                yield desk
            finally:
                desk.gate.set()
