"""Read through a queue once, and know where it ends.

A drain makes the broker use up credit or return it: what it returns is the end of the queue. But Artemis returns it
too when it has just sent a large message, with more behind that one; so the end is believed when the drain brought
nothing. And it may answer a drain that follows closely on another one with the end of the first, and ignore the second
(both measured). So there is one at the beginning, which is enough for an empty queue; everything else is read with
plain credit, and the next drain comes when that has become quiet.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Callable, Optional, Union

from aspyx_event.envelope import Envelope
from aspyx_event.exceptions import ProviderError, ProviderUnavailable
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.links import Link, Received
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome
from aspyx_event.providers.amqp.receiving import Refused
from aspyx_event.providers.network.futures import fail, resolve
from aspyx_event.timing import Deadline

_QUIET = 0.1
_UNANSWERED = 5

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
        self._taken = 0
        self._granted = 0
        self._draining = False
        self._brought = False
        """Whether the drain that is under way brought messages."""
        self._in_flight = 0
        self._finished = False
        self._link: Optional[Link] = None

    # -- the caller's thread ---------------------------------------------------------------------------------------

    def next(self, timeout: float) -> tuple[int, bytes] | None:
        """The next message, None after the last one. Raises ProviderUnavailable."""
        deadline = Deadline(timeout)
        silent = 0
        while True:
            try:
                item = self._items.get(timeout=min(_QUIET, deadline.left() or 0))
            except queue.Empty:
                if deadline.passed:
                    raise ProviderUnavailable(f"{self.connection.where}: no answer while reading {self.node}") from None
                silent += 1
                if not self._draining or silent % _UNANSWERED == 0:
                    self.connection.post(self._drain)
                continue
            if isinstance(item, Exception):
                raise item
            if item is not None:
                self._count()
            return item

    def _count(self) -> None:
        self._taken += 1
        if self._taken * 2 >= self._window:
            taken, self._taken = self._taken, 0
            self.connection.post(lambda: self._grant(taken))

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

    def _grant(self, count: int) -> None:
        if self._link is not None and self._link.open and not self._draining and not self._finished:
            self._granted += count
            self.connection.engine.flow(self._link, count)

    def _drain(self) -> None:
        """Ask for the rest; once more when the last time was not answered."""
        link = self._link
        if link is not None and link.open and not self._finished:
            more = 0 if self._granted else self._window
            self._granted += more
            self._brought = self._draining and self._brought
            self._draining = True
            self.connection.engine.drain(link, more)

    def _end(self, error: ProviderError) -> None:
        self._link = None
        fail(self.opened, error)
        self._items.put(error)

    def _finish(self) -> None:
        self._finished = True
        self.connection.settle_all()  # what was settled before: who looks next is to find it in the queue
        self._give_back()
        self._detach_if_done()

    def _give_back(self) -> None:
        """What arrived and nobody asked for, and the credit for more: a link that stays open must not go round."""
        link = self._link
        if link is None or not link.open:
            return
        credit = self.connection.engine.credit(link)
        if credit:
            self.connection.engine.flow(link, -credit)
        while not self._items.empty():
            item = self._items.get()
            if isinstance(item, tuple):
                self.settled(item[0], False)

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
        self._drain()

    def link_received(self, messages: Received) -> None:
        """Collect."""
        self._in_flight += len(messages)
        self._granted -= len(messages)
        self._brought = True
        for item in messages:
            self._items.put(item)
        if self._finished:
            self._give_back()
            self._detach_if_done()
        else:
            self.link_credit()

    def link_credit(self) -> None:
        """A drain is over when the broker has used or returned all credit."""
        link = self._link
        if not self._draining or self._finished or link is None or self.connection.engine.credit(link) > 0:
            return
        self._draining = False
        if self._granted and not self._brought:
            self._granted = 0
            self._items.put(None)
        else:
            self._taken = self._granted = 0
            self._grant(self._window)

    def link_outcome(self, token: int, outcome: Outcome) -> None:
        """A receiving link sends nothing."""

    def link_closed(self, condition: Condition | None) -> None:
        """Refused, or closed by the broker."""
        self._forget()
        fail(self.opened, Refused(condition))
        self._items.put(ProviderUnavailable(f"{self.connection.where}: reading {self.node} was ended: {condition}"))


def browse_by_scanning(
    scan: Scan, read: Callable[[bytes], Envelope], timeout: float, *, give_back: bool
) -> Iterator[Envelope]:
    """Everything in a queue. ``give_back``: the broker knows no browsing: all of it is taken, and goes back at the end.

    Before the end it would come round again.
    """
    taken: list[int] = []
    try:
        while (item := scan.next(timeout)) is not None:
            taken.append(item[0])
            yield read(item[1])
            if not give_back:
                scan.settle(taken.pop(), accept=True)
    finally:
        for token in taken:
            scan.settle(token, accept=not give_back)
        scan.finish()


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
