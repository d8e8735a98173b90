"""The tables, and opening the file that holds them."""

from __future__ import annotations

import os
import sqlite3
from typing import Optional

from aspyx_event.exceptions import ConfigurationError

APPLICATION_ID = 0x61737078
"""``aspx``, in the file's header: what tells our files from those of other programs."""
VERSION = 1
BUSY_TIMEOUT = 1.0
"""Seconds that SQLite waits for another process's transaction before it gives control back."""
_JOURNAL_LIMIT = 16 * 1024 * 1024
_NO_LIMIT = 0x3FFFFFFF
"""Pages; older versions of SQLite understand no more."""

# A message is stored once, however many queues it lies in: an entry is its place in one of them. The holder of an entry
# is the session it was handed to. Triggers, unlike foreign keys, also work for somebody who opens the file in a shell.
_TABLES = """
CREATE TABLE queues (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, event TEXT NOT NULL, own TEXT NOT NULL,
    linger REAL, idle_since REAL);
CREATE INDEX queues_of_event ON queues (event);
CREATE UNIQUE INDEX own_names ON queues (own) WHERE event <> '';
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, content_type TEXT, durable INTEGER NOT NULL,
    expires_at REAL, headers TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX expiring ON messages (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER NOT NULL, message INTEGER NOT NULL, due REAL, holder INTEGER,
    deliveries INTEGER NOT NULL DEFAULT 0);
CREATE INDEX waiting ON entries (queue, holder, due);
CREATE INDEX held ON entries (holder) WHERE holder IS NOT NULL;
CREATE INDEX entries_of_message ON entries (message);
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, server_name TEXT NOT NULL, identity TEXT NOT NULL, port INTEGER NOT NULL,
    beat INTEGER NOT NULL DEFAULT 0);
CREATE TABLE consumers (id INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER NOT NULL, queue INTEGER NOT NULL);
CREATE INDEX consumers_of_queue ON consumers (queue);
CREATE TRIGGER entry_gone AFTER DELETE ON entries
    WHEN NOT EXISTS (SELECT 1 FROM entries WHERE message = OLD.message)
    BEGIN DELETE FROM messages WHERE id = OLD.message; END;
CREATE TRIGGER queue_gone AFTER DELETE ON queues
    BEGIN DELETE FROM entries WHERE queue = OLD.id; DELETE FROM consumers WHERE queue = OLD.id; END;
"""


class Busy(Exception):
    """Another process holds the file for longer than SQLite waits."""


class Full(Exception):
    """There is no room for what should be written."""


class Broken(Exception):
    """The file cannot be used any more by this connection."""


def trouble(error: sqlite3.Error) -> Exception:
    """What an error of SQLite means. By its text: the codes are known to Python since 3.11 only."""
    text = str(error)
    if "locked" in text or "locking protocol" in text:
        return Busy(text)
    if "is full" in text:
        return Full(text)
    return Broken(text)


def open_file(path: str, *, timeout: float) -> sqlite3.Connection:
    """A connection to a file with our tables, which are made in an empty one.

    Raises ConfigurationError for a file that is no such database, Busy, Full, Broken.
    """
    if os.path.isdir(path):
        raise ConfigurationError(f"sqlite: {path!r} is a folder; give the path of a file in it")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ConfigurationError(f"sqlite: there is no folder {folder!r}; make it, or give another path")
    connection: Optional[sqlite3.Connection] = None
    try:
        # One thread at a time uses it, but not always the same one: at a fork, the thread that forks closes it.
        connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
        _check(connection, path)
        _set_up(connection, path)
        made, connection = connection, None
        return made
    except sqlite3.Error as error:
        raise _explained(error, path) from error
    finally:
        if connection is not None:
            connection.close()


def _explained(error: sqlite3.Error, path: str) -> Exception:
    text = str(error)
    if "not a database" in text or "encrypted" in text:
        return ConfigurationError(f"sqlite: {path!r} is no SQLite database; give the path of a new file")
    if "malformed" in text:
        return ConfigurationError(
            f"sqlite: {path!r} is damaged ({text}); put it aside and save what is left with sqlite3's .recover"
        )
    if "readonly" in text or "unable to open" in text:
        return ConfigurationError(
            f"sqlite: {path!r} cannot be opened for writing ({text}): this user needs to write the file, its -wal and "
            "-shm next to it, and their folder"
        )
    return trouble(error)


def _check(connection: sqlite3.Connection, path: str) -> None:
    """Refuse another program's file, and that of a newer version of this library."""
    connection.execute("BEGIN")  # of one moment: another process may be making the tables right now
    application, version, tables = (
        connection.execute(question).fetchone()[0]
        for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    connection.execute("COMMIT")
    if application != APPLICATION_ID and (tables or application or version):
        raise ConfigurationError(f"sqlite: {path!r} is the database of another program; give the path of a new file")
    if version > VERSION:
        raise ConfigurationError(
            f"sqlite: {path!r} was written by a newer version of aspyx-event (schema {version}, this one knows "
            f"{VERSION}); update aspyx-event here, or give another path"
        )


def _set_up(connection: sqlite3.Connection, path: str) -> None:
    if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only an empty file can be made so
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise ConfigurationError(
            f"sqlite: {path!r} lies where SQLite cannot share memory between processes (its journal stays {mode!r}): "
            "give a path on a disk of this machine"
        )
    for setting in ("fullfsync = ON", "checkpoint_fullfsync = ON", f"journal_size_limit = {_JOURNAL_LIMIT}"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute("BEGIN IMMEDIATE")  # also finds out whether the file can be written
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in _statements(_TABLES):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """One by one: ``executescript`` would commit first."""
    found, piece = [], ""
    for line in script.splitlines():
        piece += line + "\n"
        if sqlite3.complete_statement(piece):
            found.append(piece)
            piece = ""
    return found


def limit_size(connection: sqlite3.Connection, size: Optional[int]) -> None:
    """Let the file grow to so many bytes, and no further. None: no limit."""
    page = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {_NO_LIMIT if size is None else size // page}")
