"""The shop's own data, in one SQLite file. Each call has a connection of its own: listeners run in many threads."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from typing import Any

from flask import Flask, current_app


def init_app(app: Flask) -> None:
    """Make the file and its tables."""
    os.makedirs(os.path.dirname(app.config["DATABASE"]), exist_ok=True)
    with app.app_context(), _connection() as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, customer TEXT, euros REAL, status TEXT)"
        )
        connection.execute("CREATE TABLE IF NOT EXISTS bank (is_open INTEGER)")
        if not connection.execute("SELECT * FROM bank").fetchall():
            connection.execute("INSERT INTO bank VALUES (1)")


def add_order(customer: str, euros: float) -> int:
    """A new order; its number."""
    with _connection() as connection:
        added = connection.execute(
            "INSERT INTO orders (customer, euros, status) VALUES (?, ?, 'placed')", (customer, euros)
        )
        return int(added.lastrowid or 0)


def orders() -> list[Any]:
    """The last twenty orders, the newest first."""
    with _connection() as connection:
        return connection.execute("SELECT * FROM orders ORDER BY id DESC LIMIT 20").fetchall()


def set_status(id: int, status: str) -> None:
    """Note what became of an order."""
    with _connection() as connection:
        connection.execute("UPDATE orders SET status = ? WHERE id = ?", (status, id))


def bank_is_open() -> bool:
    """Whether the bank pays."""
    with _connection() as connection:
        return bool(connection.execute("SELECT is_open FROM bank").fetchone()["is_open"])


def open_bank(is_open: bool) -> None:
    """Open the bank, or close it."""
    with _connection() as connection:
        connection.execute("UPDATE bank SET is_open = ?", (is_open,))


@contextlib.contextmanager
def _connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(current_app.config["DATABASE"], timeout=30)
    connection.row_factory = sqlite3.Row
    try:
        with connection:  # commits, or rolls back
            yield connection
    finally:
        connection.close()
