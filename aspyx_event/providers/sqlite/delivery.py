"""One entry in our hands, and the subscription it came by."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Optional

from aspyx_event.envelope import CE_ID, Envelope
from aspyx_event.provider import Confirmation, Delivery, Subscription
from aspyx_event.providers.sqlite.desk import Desk
from aspyx_event.providers.sqlite.reception import Consumer, Session
from aspyx_event.providers.sqlite.tables import Entry


class SqliteDelivery(Delivery):
    """An entry that this process holds."""

    __slots__ = ("_consumer", "_desk", "_entry", "_lock", "_session", "_settled")

    def __init__(self, desk: Desk, session: Session, consumer: Optional[Consumer], entry: Entry) -> None:
        self._desk = desk
        self._session = session
        self._consumer = consumer
        self._entry = entry
        self._lock = threading.Lock()
        self._settled = False

    @property
    def alive(self) -> bool:
        """See Delivery."""
        return not self._settled and self._session.valid

    def read(self) -> Envelope:
        """See Delivery."""
        return read(self._entry)

    def accept(self) -> None:
        """See Delivery."""
        self._settle(back=False)

    def release(self) -> None:
        """See Delivery."""
        self._settle(back=True)

    def forward(self, destination: str, headers: Mapping[str, str], *, delay: float = 0) -> Confirmation[None]:
        """See Delivery."""
        plain = "::" not in destination
        message = self._entry.message
        copy = message._replace(
            event_id=headers.get(CE_ID) or message.event_id,
            durable=bool(message.durable) or plain,
            expires_at=None if plain else message.expires_at,
            headers=json.dumps(dict(headers)),
        )
        return self._desk.forward(copy, destination, delay)

    def _settle(self, *, back: bool) -> None:
        with self._lock:
            if self._settled:
                return
            self._settled = True
        if self._session.valid:
            self._desk.settle(self._session, self._consumer, self._entry, back=back)

    def __repr__(self) -> str:
        return f"<SqliteDelivery {self._entry.id} {'alive' if self.alive else 'settled or lost'}>"


class SqliteSubscription(Subscription):
    """A consumer of one queue."""

    def __init__(self, desk: Desk, consumer: Consumer) -> None:
        self._desk = desk
        self._consumer = consumer

    @property
    def queue(self) -> str:
        """See Subscription."""
        return self._consumer.queue

    def set_credit(self, credit: int) -> None:
        """See Subscription."""
        self._consumer.credit = credit
        self._look()

    def pause(self) -> None:
        """See Subscription."""
        self._consumer.paused = True

    def resume(self) -> None:
        """See Subscription."""
        self._consumer.paused = False
        self._look()

    def close(self, timeout: Optional[float] = None) -> None:
        """See Subscription."""
        consumer = self._consumer
        consumer.open = False
        self._desk.detach(consumer)
        if consumer.handing.acquire(timeout=-1 if timeout is None else timeout):  # a call that runs comes to its end
            consumer.handing.release()

    def _look(self) -> None:
        self._consumer.flagged = True
        self._desk.look()

    def __repr__(self) -> str:
        return f"<SqliteSubscription {self.queue} {'open' if self._consumer.open else 'closed'}>"


def read(entry: Entry) -> Envelope:
    """What an entry holds."""
    message = entry.message
    try:
        headers, unreadable = json.loads(message.headers), None
    except ValueError as error:
        headers, unreadable = {}, f"its headers are damaged: {error}"
    return Envelope(
        message.body,
        headers,
        content_type=message.content_type,
        native_id=message.event_id,
        expires_at=message.expires_at,
        delivery_count=entry.deliveries,
        unreadable=unreadable,
    )
