"""What each process of a fault test did, in a file that survives its death."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

_SCHEMA = """
create table if not exists entries (what text not null, id text not null, at real not null, pid integer not null,
                                    note text not null);
"""
SENT, CONFIRMED, REFUSED, HANDLED = "sent", "confirmed", "refused", "handled"
DEAD = "dead"
"""Found in the error queue; the note is the reason. Entered by whoever reads that queue."""


class Ledger:
    """Appends entries; every entry is in the file when `enter` returns. For many threads and processes at once.

    SENT is entered before the call, CONFIRMED or REFUSED (it raised; the note says what) after it, HANDLED by the
    listener. SIGKILL cannot take an entry back: the operating system has it. (A crash of the machine could.)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self._file.execute("pragma journal_mode=wal")
        self._file.execute("pragma synchronous=off")
        self._file.executescript(_SCHEMA)

    def enter(self, what: str, *ids: str, note: str = "") -> None:
        """Append an entry for each id."""
        now, pid = time.time(), os.getpid()
        with self._lock:
            for id in ids:
                self._file.execute("insert into entries values (?, ?, ?, ?, ?)", (what, id, now, pid, note))

    def ids(self, what: str) -> Counter[str]:
        """How often each id was entered."""
        with self._lock:
            return Counter(row[0] for row in self._file.execute("select id from entries where what = ?", (what,)))

    def notes(self, what: str) -> Counter[str]:
        """How often each note was entered."""
        with self._lock:
            return Counter(row[0] for row in self._file.execute("select note from entries where what = ?", (what,)))

    def times(self, what: str) -> list[float]:
        """When entries were made, in order."""
        with self._lock:
            return [row[0] for row in self._file.execute("select at from entries where what = ? order by at", (what,))]

    def times_by_note(self, what: str) -> dict[str, list[float]]:
        """The same, for each note apart."""
        found: dict[str, list[float]] = {}
        for note, at in self._rows("select note, at from entries where what = ? order by at", what):
            found.setdefault(note, []).append(at)
        return found

    def noted(self, what: str) -> list[tuple[str, str]]:
        """The note and the id of each entry."""
        return self._rows("select note, id from entries where what = ?", what)

    def active(self, what: str, since: float) -> set[int]:
        """The processes that made such an entry after a moment, by their ids."""
        return {row[0] for row in self._rows("select distinct pid from entries where what = ? and at > ?", what, since)}

    def unconfirmed(self, note: str) -> list[str]:
        """What was sent with this note and is not confirmed, the oldest first."""
        confirmed = self.ids(CONFIRMED)
        rows = self._rows("select id from entries where what = ? and note = ? order by at", SENT, note)
        return list(dict.fromkeys(row[0] for row in rows if row[0] not in confirmed))

    def answers(self, pid: int, since: float, until: float) -> list[tuple[str, str, float]]:
        """CONFIRMED or REFUSED, its note and how long it took, of what a process sent in a period."""
        query = "select id, what, note, at from entries where pid = ? and at > ? order by at"
        sent: dict[str, float] = {}
        found: list[tuple[str, str, float]] = []
        for id, what, note, at in self._rows(query, pid, since):
            if what == SENT and at < until:
                sent[id] = at
            elif what in (CONFIRMED, REFUSED) and id in sent:
                found.append((what, note, at - sent.pop(id)))
        return found

    def history(self, id: str) -> list[tuple[float, str, int, str]]:
        """All entries of one id: when, what, process, note."""
        return self._rows("select at, what, pid, note from entries where id = ? order by at", id)

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._lock:
            return self._file.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the file; what is in it stays."""
        with self._lock:
            self._file.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Account:
    """What a run came to. ``lost``: confirmed, and neither handled nor in the error queue."""

    sent: int
    confirmed: int
    handled: int
    dead_lettered: int
    duplicates: int
    """Handlings beyond the first of an event, and dead letters of events that were handled or are there already."""
    lost: frozenset[str]
    longest_gap: float
    """Seconds between two handlings, the longest."""

    @classmethod
    def of(cls, ledger: Ledger) -> Account:
        """Read it from a ledger."""
        handled, dead = ledger.ids(HANDLED), ledger.ids(DEAD)
        confirmed = set(ledger.ids(CONFIRMED))
        times = ledger.times(HANDLED)
        return cls(
            sent=len(ledger.ids(SENT)),
            confirmed=len(confirmed),
            handled=len(handled),
            dead_lettered=len(dead),
            duplicates=sum((handled + dead).values()) - len(set(handled) | set(dead)),
            lost=frozenset(confirmed - set(handled) - set(dead)),
            longest_gap=max((b - a for a, b in zip(times, times[1:])), default=0.0),
        )

    def __str__(self) -> str:
        return (
            f"sent {self.sent}, confirmed {self.confirmed}, handled {self.handled}, "
            f"dead-lettered {self.dead_lettered}, duplicates {self.duplicates}, "
            f"lost {len(self.lost)}, longest gap {self.longest_gap:.1f} s"
        )


def missing(ledger: Ledger, ids: Iterable[str]) -> set[str]:
    """Those that are neither handled nor dead."""
    return set(ids) - set(ledger.ids(HANDLED)) - set(ledger.ids(DEAD))
