"""What this process reads: its session in the file, its consumers, and which entries they claim when.

A session is a lease on entries. It is over when its process says so, is found dead, or gives no sign of life for LEASE
seconds; then others get what it held. Everything here runs on the engine's thread, except where it says otherwise.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Callable, Optional

from aspyx_event.exceptions import EventError
from aspyx_event.providers.sqlite.identity import Watch, own_identity
from aspyx_event.providers.sqlite.tables import Entry, Tables
from aspyx_event.providers.sqlite.work import Transaction

logger = logging.getLogger(__name__)

BEAT = 5.0
"""Seconds between two signs of life."""
LEASE = 20.0
"""Seconds without one after which a session is over."""
HOUSEKEEPING = 30.0
"""Seconds between two rounds that remove what has expired."""
CLAIM = 100
"""Entries that one transaction claims for one consumer."""
_AGAIN = 0.01

HandOver = Callable[["Consumer", "Session", Entry], None]


@dataclass(eq=False)
class Session:
    """A lease. ``valid`` ends with it, and with it every delivery that it holds."""

    id: int
    valid: bool = True


class Consumer:
    """One subscription. ``handing`` is held while its callback runs, so that closing can wait for that."""

    def __init__(self, queue: str, linger: Optional[float], hand_over: HandOver, credit: int) -> None:
        self.queue = queue
        self.linger = linger
        self.hand_over = hand_over
        self.credit = credit
        self.paused = False
        self.open = True
        self.handing = threading.RLock()  # who is called may close
        self.id = 0
        self.queue_id = 0
        self.unsettled = 0
        self.flagged = True
        """Whether there may be something for it."""
        self.next_due: Optional[float] = None

    @property
    def room(self) -> int:
        """How many further entries it takes."""
        return max(0, self.credit - self.unsettled) if self.open and not self.paused else 0

    @property
    def due(self) -> bool:
        """Whether the time of a delayed entry has come."""
        return self.next_due is not None and self.next_due <= time.time()

    @property
    def expectant(self) -> bool:
        """Whether to look into its queue."""
        return self.flagged or self.due


class Reception:
    """The engine's attendant. ``poll``: seconds between two looks; ``refused``: hears of queues that cannot be read."""

    def __init__(
        self, server_name: str, port: int, *, poll: float, refused: Callable[[str, Optional[EventError]], None]
    ) -> None:
        self._server_name = server_name
        self._port = port
        self._poll = poll
        self._refused = refused
        self._identity = own_identity()
        self._watch = Watch(self._identity, step=poll, lease=LEASE)
        self.session: Optional[Session] = None
        self._young = False
        """Whether the session is not committed yet."""
        self.needed = False
        """Whether this process reads at all; set by any thread."""
        self.declared: dict[str, Optional[float]] = {}
        self.consumers: list[Consumer] = []
        self._dead: list[int] = []
        self._next_look = self._next_beat = self._next_housekeeping = 0.0

    # -- the engine asks -------------------------------------------------------------------------------------------

    def wants(self, tables: Tables) -> bool:
        """See Attendant."""
        if not self.needed:
            return False
        now = time.monotonic()
        self._look(tables, now)
        if self.session is None or self._dead or now >= min(self._next_beat, self._next_housekeeping):
            return True
        for consumer in self.consumers:
            if consumer.expectant and consumer.room:
                waiting, consumer.next_due = tables.outlook(consumer.queue_id)
                consumer.flagged = waiting or consumer.due
        return any(consumer.flagged and consumer.room for consumer in self.consumers)

    def _look(self, tables: Tables, now: float) -> None:
        """Every ``poll`` seconds: for the dead, and for what nobody called about. Also while tasks never end."""
        if now < self._next_look:
            return
        self._next_look = now + self._poll
        self.flag()
        self._dead = self._watch.dead(tables.sessions(self._id))
        if not self._in_order(tables):
            self._lose()

    def begin(self, transaction: Transaction) -> None:
        """See Attendant."""
        tables, now = transaction.tables, time.monotonic()
        if self.needed:
            self._look(tables, now)
        if self.session is not None and not tables.is_open(self.session.id):
            logger.warning("sqlite: the lease of %s ended while it gave no sign of life", self._server_name)
            self._lose()
        if self.needed and self.session is None:
            self._open(transaction)
        transaction.session = self._id
        if self.session is not None and now >= self._next_beat:
            self._next_beat = now + BEAT
            tables.beat(self.session.id)
        if now >= self._next_housekeeping:
            self._next_housekeeping = now + HOUSEKEEPING
            for name in tables.tidy(transaction.now):
                logger.info("sqlite: nobody reads queue %s any more: it is removed", name)
            if not self.needed:
                self._dead = self._watch.dead(tables.sessions(None))
        for session in self._dead:
            logger.warning("sqlite: session %d is over without a goodbye; what it held is delivered again", session)
            transaction.filled.update(tables.end_session(session, transaction.now, count=True))
        self._dead = []

    def end(self, transaction: Transaction) -> None:
        """See Attendant."""
        session = self.session
        if session is None:
            return
        for consumer in self.consumers:
            if consumer.queue_id in transaction.filled:
                consumer.flagged = True
            if consumer.expectant and consumer.room:
                self._claim(transaction, session, consumer)

    def rolled_back(self) -> None:
        """See Attendant: a session that was opened in it is not there."""
        if self._young:
            self._grown()
            self._lose()

    def _grown(self) -> None:
        self._young = False

    def finish(self, transaction: Transaction) -> None:
        """See Attendant: what is held goes back, and counts as no delivery."""
        if self.session is not None:
            transaction.filled.update(transaction.tables.end_session(self.session.id, transaction.now, count=False))
        self.needed = False
        self._lose()
        self.consumers.clear()

    def called(self) -> None:
        """See Attendant."""
        self.flag()

    def lost(self) -> None:
        """See Attendant."""
        self._lose()

    def next_look(self) -> Optional[float]:
        """See Attendant."""
        if not self.needed:
            return None
        pause = min(self._next_look, self._next_beat) - time.monotonic()
        for consumer in self.consumers:
            if consumer.room:
                if consumer.expectant:
                    return _AGAIN
                if consumer.next_due is not None:
                    pause = min(pause, consumer.next_due - time.time())
        return max(0.0, pause)

    # -- consumers -------------------------------------------------------------------------------------------------

    def flag(self) -> None:
        """Look for something for every consumer."""
        for consumer in self.consumers:
            consumer.flagged = True

    def add(self, transaction: Transaction, consumer: Consumer) -> int:
        """Attach a consumer; returns how many others read its queue. Raises ConfigurationError."""
        assert self.session is not None
        queue = transaction.tables.declare(consumer.queue, consumer.linger, transaction.now)
        others = transaction.tables.readers(queue)
        identifier = transaction.tables.add_consumer(self.session.id, queue)

        def attached() -> None:
            consumer.id, consumer.queue_id = identifier, queue
            self.declared[consumer.queue] = consumer.linger
            self.consumers.append(consumer)

        transaction.after.append(attached)
        return others

    def remove(self, transaction: Transaction, consumer: Consumer) -> None:
        """Detach it; what it holds stays with the session."""
        if consumer in self.consumers:
            transaction.tables.remove_consumer(consumer.id, transaction.now)
            transaction.after.append(lambda: self.consumers.remove(consumer))

    @staticmethod
    def settled(session: Session, consumer: Optional[Consumer]) -> None:
        """One entry less that it holds."""
        if consumer is not None and session.valid and consumer.unsettled:
            consumer.unsettled -= 1
            consumer.flagged = True

    @property
    def _id(self) -> Optional[int]:
        return None if self.session is None else self.session.id

    def _claim(self, transaction: Transaction, session: Session, consumer: Consumer) -> None:
        tables, most = transaction.tables, min(CLAIM, consumer.room)
        share = max(1, tables.readers(consumer.queue_id))
        found = tables.claim(consumer.queue_id, session.id, most=most, share=share, now=transaction.now)
        waiting, due = tables.outlook(consumer.queue_id)

        def hand_over() -> None:
            consumer.flagged, consumer.next_due = waiting, due
            for entry in found:
                consumer.unsettled += 1
                consumer.hand_over(consumer, session, entry)

        transaction.after.append(hand_over)

    # -- sessions --------------------------------------------------------------------------------------------------

    def _in_order(self, tables: Tables) -> bool:
        """Whether the file knows our consumers: another process, or a person in a shell, may have removed a queue."""
        if self.session is None:
            return True
        there = {identifier for identifier, _ in tables.consumers(self.session.id)}
        return there == {consumer.id for consumer in self.consumers}

    def _lose(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.valid = False
        for consumer in self.consumers:
            consumer.unsettled = 0

    def _open(self, transaction: Transaction) -> None:
        """A new session: everything that was declared is declared again, every consumer is attached again."""
        tables, now = transaction.tables, transaction.now
        identifier = tables.open_session(self._server_name, self._identity, self._port)
        for name, linger in self.declared.items():
            self._tell(name, lambda name=name, linger=linger: tables.declare(name, linger, now))  # type: ignore[misc]
        for consumer in self.consumers:
            queue = tables.queue(consumer.queue)
            if queue is not None:
                consumer.queue_id, consumer.flagged = queue, True
                consumer.id = tables.add_consumer(identifier, queue)
        self.session, self._young = Session(identifier), True
        transaction.after.append(self._grown)

    def _tell(self, name: str, declare: Callable[[], int]) -> None:
        try:
            declare()
        except EventError as error:
            self._refused(name, error)
