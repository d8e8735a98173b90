"""The provider, its subscriptions and its deliveries."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Optional
from urllib.parse import parse_qsl, unquote

from aspyx_event import (
    Capabilities,
    ConfigurationError,
    Delivery,
    Envelope,
    EventDescriptor,
    EventListenerDescriptor,
    LifecycleError,
    Provider,
    ProviderState,
    ProviderUnavailable,
    Subscription,
)
from aspyx_event.envelope import CE_ID
from aspyx_event.provider import Confirmation, OnDelivery, OnState, Target
from aspyx_event.providers.naming import Naming
from onefile.file import FIELDS, WAITING, File, envelope_of, put


# the provider
class OnefileProvider(Provider):
    """Events in the SQLite file ``path``; the URL is ``onefile:///path``."""

    capabilities = Capabilities(delivery_count=False)

    def __init__(self, path: str, *, server_name: str = "{host}-{pid}", prefix: str = "") -> None:
        self._path = path
        self._naming = Naming(server_name, prefix)
        self._file: Optional[File] = None

    def __repr__(self) -> str:
        return f"<OnefileProvider {self._path} {'connected' if self.connected else 'stopped'}>"

    @property
    def server_name(self) -> str:
        return self._naming.server_name

    @property
    def error_queue(self) -> str:
        return self._naming.error_queue

    def queue_name(self, listener: EventListenerDescriptor) -> str:
        return self._naming.queue_name(listener)

    @property
    def connected(self) -> bool:
        return self._file is not None

    # starting and stopping
    def start(self, on_state: OnState, *, timeout: float) -> None:
        file = File(self._path)
        file.open(timeout)
        self._file = file
        on_state(ProviderState(connected=True))

    def stop(self, *, timeout: Optional[float]) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close(timeout)

    def _started(self) -> File:
        if self._file is None:
            raise LifecycleError("start the provider first")
        return self._file

    # declaring
    def declare(self, target: Target, *, timeout: float) -> None:
        if isinstance(target, EventDescriptor):
            return  # an address is the first half of its queues' names
        if isinstance(target, str):
            name, linger = target, None
        else:
            name, linger = self.queue_name(target), 3600.0 if target.per_process else 60.0
            linger = None if target.durable else linger
        row = (name, linger, time.time())

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO queues VALUES (?, ?, ?)", row)

        self._started().call(work, timeout)

    # sending
    def send(self, envelope: Envelope, event: EventDescriptor) -> Confirmation[None]:
        if self._file is None:
            raise ProviderUnavailable("onefile: the provider is not started")
        now, headers = time.time(), envelope.wire_headers
        expires_at = None if envelope.ttl is None else now + envelope.ttl
        event_id = headers.get(CE_ID) or envelope.native_id or uuid.uuid4().hex
        fields = (event_id, envelope.content_type, expires_at, json.dumps(headers), envelope.body)
        due = now + (envelope.delay or 0)
        pattern = event.name + "::"

        def work(connection: sqlite3.Connection) -> None:
            for (queue,) in connection.execute(
                "SELECT name FROM queues WHERE substr(name, 1, ?) = ?", (len(pattern), pattern)
            ).fetchall():
                put(connection, queue, due, fields)

        return self._file.submit(work)

    # receiving
    def subscribe(
        self, listener: EventListenerDescriptor, on_delivery: OnDelivery, *, credit: int, timeout: float
    ) -> Subscription:
        file = self._started()
        self.declare(listener, timeout=timeout)
        subscription = OnefileSubscription(file, self.queue_name(listener), on_delivery, credit)
        file.subscriptions.append(subscription)
        file.look()
        return subscription

    # the error queue
    def browse(self, queue: str, *, timeout: float) -> Iterator[Envelope]:
        last = 0
        while True:
            rows = self._started().call(
                lambda connection, after=last: connection.execute(
                    f"SELECT id, {FIELDS} FROM messages WHERE {WAITING} AND id > ? ORDER BY id LIMIT 50",
                    (queue, time.time(), after),
                ).fetchall(),
                timeout,
            )
            if not rows:
                return
            for row in rows:
                yield envelope_of(row[1:])
            last = rows[-1][0]

    def take(self, queue: str, event_id: str, *, timeout: float) -> Optional[Delivery]:
        file = self._started()

        def work(connection: sqlite3.Connection) -> Any:
            row = connection.execute(
                f"SELECT id, {FIELDS} FROM messages WHERE {WAITING} AND event_id = ? ORDER BY id LIMIT 1",
                (queue, time.time(), event_id),
            ).fetchone()
            if row is not None:
                connection.execute("UPDATE messages SET holder = ? WHERE id = ?", (file.session, row[0]))
            return row

        row = file.call(work, timeout)
        return None if row is None else OnefileDelivery(file, None, row)


# the subscription
class OnefileSubscription(Subscription):
    """The reader of one queue. What it counts is counted on the file's thread."""

    def __init__(self, file: File, queue: str, on_delivery: OnDelivery, credit: int) -> None:
        self._file = file
        self._queue = queue
        self._on_delivery = on_delivery
        self._credit = credit
        self._paused = False
        self.unsettled = 0

    @property
    def queue(self) -> str:
        return self._queue

    def has_messages(self, connection: sqlite3.Connection) -> bool:
        if self._paused or self.unsettled >= self._credit:
            return False
        question = f"SELECT 1 FROM messages WHERE {WAITING} LIMIT 1"
        return connection.execute(question, (self._queue, time.time())).fetchone() is not None

    def claim(self, connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = connection.execute(
            f"SELECT id, {FIELDS} FROM messages WHERE {WAITING} ORDER BY id LIMIT ?",
            (self._queue, time.time(), self._credit - self.unsettled),
        ).fetchall()
        holders = [(self._file.session, row[0]) for row in rows]
        connection.executemany("UPDATE messages SET holder = ? WHERE id = ?", holders)
        return rows

    def hand_over(self, rows: list[tuple[Any, ...]]) -> None:
        for row in rows:
            self.unsettled += 1
            self._on_delivery(OnefileDelivery(self._file, self, row))

    def set_credit(self, credit: int) -> None:
        self._credit = credit
        self._file.look()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._file.look()

    def close(self, timeout: Optional[float] = None) -> None:
        if self in self._file.subscriptions:
            self._file.subscriptions.remove(self)
            self._file.call(lambda _connection: None, timeout)  # a look that was under way is over then


# the delivery
class OnefileDelivery(Delivery):
    """A message that this process holds."""

    def __init__(self, file: File, subscription: Optional[OnefileSubscription], row: tuple[Any, ...]) -> None:
        self._file = file
        self._subscription = subscription
        self._id, *self._fields = row
        self._lock = threading.Lock()
        self._settled = False

    @property
    def alive(self) -> bool:
        return not self._settled and not self._file.closed.is_set()

    def read(self) -> Envelope:
        return envelope_of(tuple(self._fields))

    def accept(self) -> None:
        self._settle("DELETE FROM messages WHERE id = ? AND holder = ?")

    def release(self) -> None:
        self._settle("UPDATE messages SET holder = NULL WHERE id = ? AND holder = ?")

    def _settle(self, statement: str) -> None:
        with self._lock:
            if self._settled:
                return
            self._settled = True

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(statement, (self._id, self._file.session))
            if self._subscription is not None:
                self._subscription.unsettled -= 1

        self._file.submit(work)

    def forward(self, destination: str, headers: Mapping[str, str], *, delay: float = 0) -> Confirmation[None]:
        event_id, content_type, expires_at, _, body = self._fields
        plain = "::" not in destination
        expires_at = None if plain else expires_at
        fields = (headers.get(CE_ID) or event_id, content_type, expires_at, json.dumps(dict(headers)), body)
        due = time.time() + delay
        return self._file.submit(lambda connection: put(connection, destination, due, fields))


# the URL
def from_url(url: str) -> Provider:
    """The entry point: ``onefile:///events.db?prefix=shop``. No message repeats the URL."""
    rest, _, query = url.partition("://")[2].partition("?")
    options = dict(parse_qsl(query))
    if not rest.startswith("/") or len(rest) < 2 or not set(options) <= {"server_name", "prefix"}:
        raise ConfigurationError("write onefile:///path, and no options but server_name and prefix")
    return OnefileProvider(unquote(rest[1:]), **options)
