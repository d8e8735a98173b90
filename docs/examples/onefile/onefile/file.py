"""The file, and the one thread that touches it."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING, Any, Callable, Optional

from aspyx_event import Envelope, ProviderError, ProviderUnavailable

if TYPE_CHECKING:
    from onefile.provider import OnefileSubscription

LOOK_EVERY = 0.05
LEASE = 10.0

# the file
TABLES = """
CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY, linger REAL, seen REAL);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT, due REAL, holder TEXT,
    event_id TEXT, content_type TEXT, expires_at REAL, headers TEXT, body BLOB);
CREATE INDEX IF NOT EXISTS waiting ON messages (queue, holder);
CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, alive_until REAL);
"""
FIELDS = "event_id, content_type, expires_at, headers, body"
WAITING = "queue = ? AND holder IS NULL AND due <= ?"

Work = Callable[[sqlite3.Connection], Any]


class File:
    """One thread and one connection: only that thread touches the file, others submit work to it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.session = uuid.uuid4().hex
        self.subscriptions: list[OnefileSubscription] = []
        self.closed = threading.Event()
        self._executor = ThreadPoolExecutor(1, "onefile")
        self._looker = threading.Thread(target=self._keep_looking, name="onefile-look", daemon=True)
        self._look_is_due = False
        self._next_upkeep = 0.0

    def open(self, timeout: float) -> None:
        try:
            self._executor.submit(self._open, timeout).result(timeout + 1)
        except (sqlite3.Error, FutureTimeout) as error:
            self._executor.shutdown(wait=False)
            raise ProviderUnavailable(f"onefile: {self.path!r} cannot be opened: {error}") from error
        self._looker.start()

    def _open(self, timeout: float) -> None:
        self._connection = sqlite3.connect(self.path, timeout=timeout, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(TABLES)
            self._transact(self._upkeep)
        except BaseException:
            self._connection.close()
            raise

    def submit(self, work: Work) -> Future[Any]:
        """Have ``work(connection)`` done in a transaction, and look for messages afterwards. Never blocks."""
        try:
            return self._executor.submit(self._transact, work)
        except RuntimeError:
            failed: Future[Any] = Future()
            failed.set_exception(ProviderUnavailable("onefile: the provider was stopped"))
            return failed
        finally:
            self.look()

    def call(self, work: Work, timeout: Optional[float]) -> Any:
        """Have it done, and wait for it."""
        future = self.submit(work)
        try:
            return future.result(timeout)
        except FutureTimeout as error:
            future.cancel()
            raise ProviderUnavailable(f"onefile: {self.path!r} is locked by another process") from error

    def _transact(self, work: Work) -> Any:
        try:
            with self._connection:  # commits, or rolls back
                self._connection.execute("BEGIN IMMEDIATE")
                return work(self._connection)
        except sqlite3.Error as error:
            raise ProviderError(f"onefile: {self.path!r}: {error}") from error

    # looking for messages
    def look(self) -> None:
        if not self._look_is_due:
            self._look_is_due = True
            try:
                self._executor.submit(self._look)
            except RuntimeError:
                return

    def _keep_looking(self) -> None:
        while not self.closed.wait(LOOK_EVERY):
            self.look()

    def _look(self) -> None:
        self._look_is_due = False
        try:
            if time.monotonic() >= self._next_upkeep:
                self._next_upkeep = time.monotonic() + 1
                self._transact(self._upkeep)
            for subscription in list(self.subscriptions):
                if subscription.has_messages(self._connection):
                    subscription.hand_over(self._transact(subscription.claim))
        except (ProviderError, sqlite3.Error):
            return  # it is locked: the next look is soon

    # leases
    def _upkeep(self, connection: sqlite3.Connection) -> None:
        now = time.time()
        connection.execute("REPLACE INTO sessions VALUES (?, ?)", (self.session, now + LEASE))
        connection.execute("DELETE FROM sessions WHERE alive_until < ?", (now,))
        connection.execute(
            "UPDATE messages SET holder = NULL WHERE holder IS NOT NULL AND holder NOT IN (SELECT id FROM sessions)"
        )
        for subscription in self.subscriptions:
            connection.execute("UPDATE queues SET seen = ? WHERE name = ?", (now, subscription.queue))
        connection.execute("DELETE FROM queues WHERE seen + linger < ?", (now,))
        connection.execute("DELETE FROM messages WHERE queue NOT IN (SELECT name FROM queues)")

    def close(self, timeout: Optional[float]) -> None:
        def leave(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE messages SET holder = NULL WHERE holder = ?", (self.session,))
            connection.execute("DELETE FROM sessions WHERE id = ?", (self.session,))

        self.subscriptions.clear()
        try:
            self.call(leave, timeout)
        finally:
            self.closed.set()
            self._looker.join(timeout)
            self._executor.submit(self._connection.close)
            self._executor.shutdown(wait=timeout is None or timeout > 0)


# messages
def put(connection: sqlite3.Connection, queue: str, due: float, fields: tuple[Any, ...]) -> None:
    connection.execute(
        f"INSERT INTO messages (queue, due, {FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?)", (queue, due, *fields)
    )


def envelope_of(fields: tuple[Any, ...]) -> Envelope:
    event_id, content_type, expires_at, headers, body = fields
    return Envelope(body, json.loads(headers), content_type=content_type, native_id=event_id, expires_at=expires_at)
