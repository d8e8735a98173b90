"""What these tests share: one event, its listener, providers that are stopped, and a look into the file."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aspyx_event import Delivery, Envelope, Subscription, event, event_listener
from aspyx_event.envelope import CE_ID
from aspyx_event.events import describe_event
from aspyx_event.listeners import describe_listener
from aspyx_event.provider import OnState
from aspyx_event.providers.sqlite import SqliteProvider
from tests.unit.support import Collected

DEADLINE = 30.0


@event(durable=True)
@dataclass
class Order:
    id: int


@event()
@dataclass
class Passing:
    id: int


@event_listener(Order)
def billing(event: Order) -> None:
    pass


@event_listener(Passing)
def watching(event: Passing) -> None:
    pass


ORDER, BILLING = describe_event(Order), describe_listener(billing)
PASSING, WATCHING = describe_event(Passing), describe_listener(watching)


class Inbox:
    """The deliveries that one subscription was handed, unsettled. Not that of the suite, which needs pytest: processes
    import this, and are started often."""

    subscription: Subscription

    def __init__(self) -> None:
        self.receive: Collected[Delivery] = Collected()

    @property
    def deliveries(self) -> list[Delivery]:
        return self.receive.items

    def wait(self, count: int) -> list[Delivery]:
        """The deliveries, as soon as there are ``count``."""
        return self.receive.wait(count)


@contextlib.contextmanager
def started(
    path: Path, server_name: str = "test", *, on_state: OnState = lambda _state: None, **options: Any
) -> Iterator[SqliteProvider]:
    """A started provider."""
    provider = SqliteProvider(str(path), server_name=server_name, **options)
    provider.start(on_state, timeout=DEADLINE)
    try:
        yield provider
    finally:
        provider.stop(timeout=DEADLINE)


def listening(provider: SqliteProvider, listener: Any = BILLING, credit: int = 100) -> Inbox:
    """An inbox that reads the listener's queue."""
    inbox = Inbox()
    inbox.subscription = provider.subscribe(listener, inbox.receive, credit=credit, timeout=DEADLINE)
    return inbox


def envelope(body: bytes = b'{"id":1}', **options: Any) -> Envelope:
    """An envelope with an id of its own."""
    return Envelope(body, {CE_ID: str(uuid.uuid4())}, **options)


def send(
    provider: SqliteProvider, count: int = 1, body: bytes = b'{"id":1}', kind: Any = ORDER, **options: Any
) -> None:
    """Send, and wait for the confirmations."""
    for confirmation in [provider.send(envelope(body, **options), kind) for _ in range(count)]:
        confirmation.result(DEADLINE)


def ask(path: Path, question: str) -> list[Any]:
    """Read from the file, as a person in a shell would."""
    with contextlib.closing(sqlite3.connect(path, timeout=DEADLINE)) as connection:
        return connection.execute(question).fetchall()


def change(path: Path, statement: str) -> None:
    """Write to the file, as a person in a shell would."""
    with contextlib.closing(sqlite3.connect(path, timeout=DEADLINE)) as connection:
        connection.execute(statement)
        connection.commit()
