"""Sending with confirmations: pipelined, in order, and written again when the connection was lost in between."""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple, Optional

from aspyx_event.exceptions import ProviderError, ProviderUnavailable, SendRejected
from aspyx_event.provider import Confirmation
from aspyx_event.providers.network.futures import Answer, fail, resolve
from aspyx_event.providers.stomp import encoding
from aspyx_event.providers.stomp.errors import LinkLost, send_error
from aspyx_event.providers.stomp.link import Link

_LOSSES_UNTIL_CAREFUL = 2
_LOSSES_ALONE = 3
_PURGE_FROM = 1000


class Outgoing(NamedTuple):
    """A SEND frame."""  # a tuple is made in a third of the time of a frozen dataclass

    destination: str
    headers: dict[str, str]
    body: bytes
    event_id: Optional[str] = None
    waits_in: Optional[str] = None
    """The queue for delays that it goes to, where that has to be known."""


class _Sending:
    """One message until its receipt, and what the link calls then."""

    __slots__ = ("_publisher", "alone", "confirmation", "head", "losses", "message")

    def __init__(self, publisher: Publisher, message: Outgoing) -> None:
        self._publisher = publisher
        self.message = message
        self.head = encoding.send(message.destination, message.headers)
        self.confirmation: Confirmation[None] = Answer()
        self.losses = 0
        """How many connections ended before it was confirmed."""
        self.alone = 0
        """How many of them while nothing else was unconfirmed."""

    def __call__(self, error: ProviderError | None) -> None:
        self._publisher.answered(self, error)

    @property
    def careful(self) -> bool:
        """Whether it has to be written while nothing else is unconfirmed."""
        return self.losses >= _LOSSES_UNTIL_CAREFUL


class Publisher:
    """Messages on their way. Thread-safe; nothing here blocks.

    What was written and not confirmed when a connection ended is written again, in order. Some brokers end the
    connection without a word about a message they do not take (RabbitMQ: a frame above its limit), so what was lost
    twice goes one by one, and a message that ends three connections while it is alone is refused.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[_Sending] = deque()
        self._written: dict[_Sending, None] = {}
        self._alone = False
        """Whether what was written last has to be alone until it is confirmed."""
        self._purge_at = _PURGE_FROM
        self._link: Optional[Link] = None
        self._closed: Optional[ProviderError] = ProviderUnavailable("the provider is not started")

    def open(self) -> None:
        """Accept messages."""
        with self._lock:
            self._closed = None

    def send(self, message: Outgoing) -> Confirmation[None]:
        """Write it now, or when there is a connection."""
        sending = _Sending(self, message)
        with self._lock:
            closed = self._closed
            if closed is None:
                self._waiting.append(sending)
                self._write()
                if len(self._waiting) > self._purge_at:
                    self._purge()
        if closed is not None:
            fail(sending.confirmation, type(closed)(str(closed), event_id=message.event_id))
        return sending.confirmation

    def use(self, link: Link) -> None:
        """Write what waits to this connection."""
        with self._lock:
            self._link = link
            link.on_confirmed = self.confirmed
            self._write()

    def lost(self, error: ProviderError) -> None:
        """The connection in use has ended."""
        with self._lock:
            self._link = None
            again = list(self._written)
            self._written.clear()
            for sending in again:
                sending.losses += 1
                sending.alone += len(again) == 1
            self._waiting.extendleft(reversed([sending for sending in again if sending.alone < _LOSSES_ALONE]))
        for sending in again:
            if sending.alone >= _LOSSES_ALONE:
                fail(sending.confirmation, _refused(sending.message, error))

    def close(self, error: ProviderError) -> None:
        """Fail what is not confirmed, and everything from here on."""
        with self._lock:
            self._closed = error
            self._link = None
            left = [*self._written, *self._waiting]
            self._written.clear()
            self._waiting.clear()
        for sending in left:
            fail(sending.confirmation, type(error)(str(error), event_id=sending.message.event_id))

    def _write(self) -> None:
        link = self._link
        while link is not None and self._waiting and self._may_write(self._waiting[0]):
            sending = self._waiting.popleft()
            if sending.confirmation.cancelled():
                continue  # nobody waits for it any more
            self._written[sending] = None
            self._alone = sending.careful
            link.publish(sending.head, sending.message.body, answer=sending)

    def _may_write(self, sending: _Sending) -> bool:
        if not self._written:
            return True
        return not sending.careful and not self._alone

    def _purge(self) -> None:
        """Drop what was cancelled during an outage."""
        self._waiting = deque(sending for sending in self._waiting if not sending.confirmation.cancelled())
        self._purge_at = max(_PURGE_FROM, 2 * len(self._waiting))

    def answered(self, sending: _Sending, error: ProviderError | None) -> None:
        """An ERROR frame, a receipt of its own, or the end of the connection."""
        if error is None:
            self.confirmed([sending])
        elif not isinstance(error, LinkLost):  # then lost() will write it again
            self._answered([sending])
            fail(sending.confirmation, send_error(sending.message.destination, error, sending.message.event_id))

    def confirmed(self, sendings: list[_Sending]) -> None:
        """Receipts that have come at once."""
        self._answered(sendings)
        for sending in sendings:
            resolve(sending.confirmation)

    def _answered(self, sendings: list[_Sending]) -> None:
        with self._lock:
            for sending in sendings:
                self._written.pop(sending, None)
            if self._waiting:
                self._write()

    def __repr__(self) -> str:
        return f"<Publisher waiting={len(self._waiting)} unconfirmed={len(self._written)}>"


def _refused(message: Outgoing, error: ProviderError) -> ProviderError:
    return SendRejected(
        f"{message.destination}: the broker ended the connection each time it got this message of "
        f"{len(message.body)} bytes: {error}",
        event_id=message.event_id,
    )
