"""Every question and every change there is, as functions of one connection. No thread, no clock of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.naming import split_queue_name

_CLAIM_BYTES = 4 * 1024 * 1024
_VACUUM_FROM = 1024
_VACUUM_PAGES = 4000

_WAITING = "holder IS NULL AND due IS NULL"
_MESSAGE = "m.event_id, m.content_type, m.durable, m.expires_at, m.headers, m.body"
_ENTRY = f"SELECT e.id, e.deliveries, {_MESSAGE} FROM entries e JOIN messages m ON m.id = e.message"


class Message(NamedTuple):
    """What lies in queues. ``headers`` is a JSON object, ``expires_at`` in Unix time."""

    event_id: str
    content_type: Optional[str]
    durable: bool
    expires_at: Optional[float]
    headers: str
    body: bytes


class Entry(NamedTuple):
    """A message in one queue. ``deliveries``: how many ended without a settlement."""

    id: int
    deliveries: int
    message: Message


class Tables:
    """The tables in an open file. Used by one thread at a time; what changes them runs in a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute

    # -- queues ----------------------------------------------------------------------------------------------------

    def declare(self, name: str, linger: Optional[float], now: float) -> int:
        """The id of a queue, which is made if it is not there. The last declaration says how long it lingers.

        Raises ConfigurationError where its own part of the name serves another event.
        """
        known = self._execute("SELECT id, linger FROM queues WHERE name = ?", (name,)).fetchone()
        if known is not None:
            if known[1] != linger:
                self._execute("UPDATE queues SET linger = ? WHERE id = ?", (linger, known[0]))
            return int(known[0])
        event, own = split_queue_name(name)
        owner = self._execute("SELECT event FROM queues WHERE own = ? AND event <> ''", (own,)).fetchone()
        if event and owner is not None:  # as on Artemis, where queue names are unique in the broker
            raise ConfigurationError(
                f"queue {own!r} for event {event!r} already belongs to event {owner[0]!r}: give one of the two "
                f"listeners another name; if nothing reads '{owner[0]}::{own}' any more, delete its row from 'queues'"
            )
        made = self._execute(
            "INSERT INTO queues (name, event, own, linger, idle_since) VALUES (?, ?, ?, ?, ?)",
            (name, event, own, linger, now),
        ).lastrowid
        assert made is not None
        return made

    def queue(self, name: str) -> Optional[int]:
        """The id of a queue, if it is there."""
        found = self._execute("SELECT id FROM queues WHERE name = ?", (name,)).fetchone()
        return None if found is None else int(found[0])

    def queues_of(self, event: str) -> list[int]:
        """The queues of an event."""
        return [int(row[0]) for row in self._execute("SELECT id FROM queues WHERE event = ?", (event,))]

    def names(self) -> set[str]:
        """The names of all queues."""
        return {str(row[0]) for row in self._execute("SELECT name FROM queues")}

    # -- entries ---------------------------------------------------------------------------------------------------

    def put(self, queues: Sequence[int], message: Message, due: Optional[float]) -> None:
        """At the end of some queues, or, at the time ``due``, where its turn would have been."""
        stored = self._execute(
            "INSERT INTO messages (event_id, content_type, durable, expires_at, headers, body) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            message,
        ).lastrowid
        self._connection.executemany(
            "INSERT INTO entries (queue, message, due) VALUES (?, ?, ?)", [(queue, stored, due) for queue in queues]
        )

    def outlook(self, queue: int) -> tuple[bool, Optional[float]]:
        """Whether something waits in a queue, and when the next delayed entry is due."""
        waits = self._execute(f"SELECT 1 FROM entries WHERE queue = ? AND {_WAITING} LIMIT 1", (queue,)).fetchone()
        due = self._execute(
            "SELECT min(due) FROM entries WHERE queue = ? AND holder IS NULL AND due IS NOT NULL", (queue,)
        ).fetchone()[0]
        return waits is not None, due

    def claim(self, queue: int, session: int, *, most: int, share: int, now: float) -> list[Entry]:
        """Hand the first entries to a session: at most ``most``, and one in ``share`` of those that wait."""
        self._execute(
            "UPDATE entries SET due = NULL WHERE queue = ? AND holder IS NULL AND due IS NOT NULL AND due <= ?",
            (queue, now),
        )
        if share > 1:
            waiting = self._execute(
                f"SELECT count(*) FROM (SELECT 1 FROM entries WHERE queue = ? AND {_WAITING} LIMIT ?)",
                (queue, most * share),
            ).fetchone()[0]
            most = min(most, -(-waiting // share))
        found, size = [], 0
        for row in self._execute(f"{_ENTRY} WHERE e.queue = ? AND {_WAITING} ORDER BY e.id LIMIT ?", (queue, most)):
            found.append(_entry(row))
            size += len(found[-1].message.body)
            if size >= _CLAIM_BYTES:
                break
        self._connection.executemany(
            "UPDATE entries SET holder = ? WHERE id = ?", [(session, entry.id) for entry in found]
        )
        return found

    def take(self, queue: int, event_id: str, session: int) -> Optional[Entry]:
        """Hand the first entry with this id to a session."""
        row = self._execute(
            f"{_ENTRY} WHERE e.queue = ? AND {_WAITING} AND m.event_id = ? ORDER BY e.id LIMIT 1", (queue, event_id)
        ).fetchone()
        if row is None:
            return None
        self._execute("UPDATE entries SET holder = ? WHERE id = ?", (session, row[0]))
        return _entry(row)

    def remove(self, entry: int, session: int) -> None:
        """A session is done with an entry; nothing happens if it does not hold it any more."""
        self._execute("DELETE FROM entries WHERE id = ? AND holder = ?", (entry, session))

    def give_back(self, entry: int, session: int) -> Optional[int]:
        """An entry goes back to its place; its queue, unless the session does not hold it any more."""
        found = self._execute("SELECT queue FROM entries WHERE id = ? AND holder = ?", (entry, session)).fetchone()
        if found is None:
            return None
        self._execute("UPDATE entries SET holder = NULL WHERE id = ?", (entry,))
        return int(found[0])

    def page(self, queue: int, after: int, most: int) -> list[Entry]:
        """What waits in a queue behind an entry, in its order."""
        rows = self._execute(
            f"{_ENTRY} WHERE e.queue = ? AND {_WAITING} AND e.id > ? ORDER BY e.id LIMIT ?", (queue, after, most)
        )
        found, size = [], 0
        for row in rows:
            found.append(_entry(row))
            size += len(found[-1].message.body)
            if size >= _CLAIM_BYTES:
                break
        return found

    # -- sessions --------------------------------------------------------------------------------------------------

    def open_session(self, server_name: str, identity: str, port: int) -> int:
        """A new one."""
        made = self._execute(
            "INSERT INTO sessions (server_name, identity, port) VALUES (?, ?, ?)", (server_name, identity, port)
        ).lastrowid
        assert made is not None
        return made

    def is_open(self, session: int) -> bool:
        """Whether a session is still there."""
        return self._execute("SELECT 1 FROM sessions WHERE id = ?", (session,)).fetchone() is not None

    def beat(self, session: int) -> None:
        """A sign of life."""
        self._execute("UPDATE sessions SET beat = beat + 1 WHERE id = ?", (session,))

    def sessions(self, but: Optional[int]) -> list[tuple[int, str, int]]:
        """Id, identity and beat of all others."""
        rows = self._execute("SELECT id, identity, beat FROM sessions WHERE id IS NOT ?", (but,))
        return [(int(row[0]), str(row[1]), int(row[2])) for row in rows]

    def end_session(self, session: int, now: float, *, count: bool) -> list[int]:
        """What it holds goes back, its consumers go. Returns the queues. ``count`` those deliveries as failed ones."""
        queues = self._execute("SELECT DISTINCT queue FROM entries WHERE holder = ?", (session,)).fetchall()
        self._execute(
            "UPDATE entries SET holder = NULL, deliveries = deliveries + ? WHERE holder = ?", (int(count), session)
        )
        for consumer, _ in self.consumers(session):
            self.remove_consumer(consumer, now)
        self._execute("DELETE FROM sessions WHERE id = ?", (session,))
        return [int(row[0]) for row in queues]

    def ports(self, queues: Iterable[int], but: Optional[int]) -> set[int]:
        """Where the other sessions that read these queues are called."""
        found: set[int] = set()
        for queue in queues:
            rows = self._execute(
                "SELECT s.port FROM consumers c JOIN sessions s ON s.id = c.session "
                "WHERE c.queue = ? AND s.id IS NOT ?",
                (queue, but),
            )
            found.update(int(row[0]) for row in rows)
        return found

    # -- consumers -------------------------------------------------------------------------------------------------

    def add_consumer(self, session: int, queue: int) -> int:
        """A session reads a queue."""
        self._execute("UPDATE queues SET idle_since = NULL WHERE id = ?", (queue,))
        made = self._execute("INSERT INTO consumers (session, queue) VALUES (?, ?)", (session, queue)).lastrowid
        assert made is not None
        return made

    def remove_consumer(self, consumer: int, now: float) -> None:
        """It reads no more; the last one leaves the queue idle."""
        row = self._execute("SELECT queue FROM consumers WHERE id = ?", (consumer,)).fetchone()
        self._execute("DELETE FROM consumers WHERE id = ?", (consumer,))
        if row is not None and self.readers(int(row[0])) == 0:
            self._execute("UPDATE queues SET idle_since = ? WHERE id = ?", (now, row[0]))

    def consumers(self, session: int) -> list[tuple[int, int]]:
        """Id and queue of each consumer of a session."""
        rows = self._execute("SELECT id, queue FROM consumers WHERE session = ?", (session,))
        return [(int(row[0]), int(row[1])) for row in rows]

    def readers(self, queue: int) -> int:
        """How many consumers a queue has."""
        return int(self._execute("SELECT count(*) FROM consumers WHERE queue = ?", (queue,)).fetchone()[0])

    # -- housekeeping ----------------------------------------------------------------------------------------------

    @property
    def unused(self) -> int:
        """Bytes in the file that can be used again."""
        pages, size = (self._execute(f"PRAGMA {one}").fetchone()[0] for one in ("freelist_count", "page_size"))
        return int(pages) * int(size)

    def tidy(self, now: float) -> list[str]:
        """Remove queues that nobody reads for too long, and expired events; give pages back. The queues' names."""
        idle = "linger IS NOT NULL AND idle_since IS NOT NULL AND idle_since + linger <= ?"
        gone = [str(row[0]) for row in self._execute(f"SELECT name FROM queues WHERE {idle}", (now,))]
        if gone:
            self._execute(f"DELETE FROM queues WHERE {idle}", (now,))
        self._execute(
            "DELETE FROM entries WHERE holder IS NULL AND message IN (SELECT id FROM messages WHERE expires_at <= ?)",
            (now,),
        )
        free = int(self._execute("PRAGMA freelist_count").fetchone()[0])
        if free >= _VACUUM_FROM:
            for _ in range(min(free // 2, _VACUUM_PAGES)):  # Python's execute() takes one step, which is one page
                self._execute("PRAGMA incremental_vacuum(1)")
        return gone


def _entry(row: Sequence[object]) -> Entry:
    return Entry(row[0], row[1], Message(*row[2:]))  # type: ignore[arg-type]
