"""Read through a queue once: rounds of credit that the broker uses up or returns at once."""

from __future__ import annotations

import queue
from concurrent.futures import Future
from typing import Callable, Optional, Union

from aspyx_event.exceptions import ProviderError, ProviderUnavailable
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.futures import fail, resolve
from aspyx_event.providers.amqp.links import Link, Received
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome
from aspyx_event.providers.amqp.receiving import Refused

_Item = Union[tuple[int, bytes], None, Exception]


class Scan:
    """A link of its own for one pass through a queue. ``next`` and ``settle`` are for one caller's thread.

    A message that is kept unsettled keeps the link open; it closes with the last settlement after ``finish``.
    """

    def __init__(self, connection: Connection, node: Node, *, window: int) -> None:
        self.connection = connection
        self.node = node
        self.opened: Future[None] = Future()
        self._window = window
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._in_round = 0
        self._draining = False
        self._in_flight = 0
        self._finished = False
        self._link: Optional[Link] = None

    # -- the caller's thread ---------------------------------------------------------------------------------------

    def next(self, timeout: float) -> tuple[int, bytes] | None:
        """The next message, None after the last one. Raises ProviderUnavailable."""
        while True:
            try:
                item = self._items.get(timeout=timeout)
            except queue.Empty:
                raise ProviderUnavailable(f"{self.connection.where}: no answer while reading {self.node}") from None
            if isinstance(item, Exception):
                raise item
            if item is not None:
                return item
            if self._in_round == 0:
                return None
            self.connection.post(self._round)

    def settle(self, token: int, *, accept: bool) -> None:
        """Settle one message."""
        self.connection.settle(self, token, accept)

    def finish(self) -> None:
        """Read no further."""
        self.connection.post(self._finish)

    @property
    def alive(self) -> bool:
        """Whether settling has an effect."""
        return self._link is not None and self.connection.alive

    # -- the I/O thread --------------------------------------------------------------------------------------------

    def attach(self, *, own_session: bool) -> None:
        """Open the link."""
        self.connection.on_end.append(self._end)
        self._link = self.connection.engine.receiver(self.node, self, own_session=own_session)

    def _round(self) -> None:
        if self._link is not None and self._link.open:
            self._in_round = 0
            self._draining = True
            self.connection.engine.drain(self._link, self._window)

    def _end(self, error: ProviderError) -> None:
        self._link = None
        fail(self.opened, error)
        self._items.put(error)

    def _finish(self) -> None:
        self._finished = True
        self._detach_if_done()

    def _detach_if_done(self) -> None:
        if self._finished and not self._in_flight and self._link is not None:
            self.connection.engine.detach(self._link)
            self._forget()

    def _forget(self) -> None:
        self._link = None
        if self._end in self.connection.on_end:
            self.connection.on_end.remove(self._end)

    def settled(self, token: int, accept: bool) -> None:
        """Settle one message."""
        if self._link is not None and self.connection.engine.settle(self._link, token, accept=accept):
            self._in_flight -= 1

    def top_up(self) -> None:
        """After settlements."""
        self._detach_if_done()

    def link_opened(self) -> None:
        """Begin."""
        resolve(self.opened)
        self._round()

    def link_received(self, messages: Received) -> None:
        """Collect."""
        self._in_flight += len(messages)
        self._in_round += len(messages)
        for item in messages:
            self._items.put(item)
        self.link_credit()

    def link_credit(self) -> None:
        """The round is over when the broker has used or returned all of it."""
        if self._draining and self._link is not None and self.connection.engine.credit(self._link) == 0:
            self._draining = False
            self._items.put(None)

    def link_outcome(self, token: int, outcome: Outcome) -> None:
        """A receiving link sends nothing."""

    def link_closed(self, condition: Condition | None) -> None:
        """Refused, or closed by the broker."""
        self._forget()
        fail(self.opened, Refused(condition))
        self._items.put(ProviderUnavailable(f"{self.connection.where}: reading {self.node} was ended: {condition}"))


def take_by_scanning(scan: Scan, wanted: Callable[[bytes], bool], timeout: float) -> tuple[int, bytes] | None:
    """The first message that is wanted, unsettled; all others go back."""
    others: list[int] = []
    try:
        while True:
            item = scan.next(timeout)
            if item is None or wanted(item[1]):
                return item
            others.append(item[0])
    finally:
        for token in others:
            scan.settle(token, accept=False)
