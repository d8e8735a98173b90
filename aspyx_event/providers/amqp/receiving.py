"""A receiving link of one connection, and its credit."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Callable

from aspyx_event.exceptions import ProviderError
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.links import Link, Received
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome
from aspyx_event.providers.network.futures import fail, resolve

OnMessages = Callable[["Receiver", Received], None]


class Refused(Exception):
    """The broker did not attach its end of a link."""

    def __init__(self, condition: Condition | None) -> None:
        super().__init__(str(condition))
        self.condition = condition


class Receiver:
    """Hands over at most ``credit`` messages that are not settled. Single use, like its connection.

    Methods belong to the I/O thread, but for ``alive`` and the two futures: ``opened`` is set when the broker has
    attached its end, ``quiet`` when after ``stop`` no further message can come.
    """

    def __init__(
        self,
        connection: Connection,
        node: Node,
        on_messages: OnMessages,
        *,
        credit: int,
        paused: bool = False,
        on_closed: Callable[[Receiver, Condition | None], None] | None = None,
    ) -> None:
        self.connection = connection
        self.node = node
        self.opened: Future[None] = Future()
        self.quiet: Future[None] = Future()
        self._on_messages = on_messages
        self._on_closed = on_closed
        self._limit = credit
        self._held: Received = []
        self._in_flight = 0
        self._paused = paused
        self._giving_back = False
        self._stopping = False
        self._detach_when_settled = False
        self._open = False
        self._link: Link | None = None

    @property
    def alive(self) -> bool:
        """Whether settling has an effect."""
        return self._open and self.connection.alive

    @property
    def in_flight(self) -> int:
        """Messages handed over and not settled."""
        return self._in_flight

    @property
    def address(self) -> str | None:
        """The address that the broker gave a dynamic source."""
        return self.connection.engine.remote_address(self._link) if self._link is not None else None

    def attach(self, *, own_session: bool) -> None:
        """Open the link."""
        engine = self.connection.engine
        if engine is None:
            self._end(None)
            return
        self.connection.on_end.append(self._end)
        self._link = engine.receiver(self.node, self, own_session=own_session)

    def _end(self, error: ProviderError | None) -> None:
        self._open = False
        self._link = None
        self._held = []
        fail(self.opened, error or ProviderError("the connection has ended"))
        resolve(self.quiet)

    # -- credit ----------------------------------------------------------------------------------------------------

    def set_credit(self, credit: int) -> None:
        """Change the limit. A lower one takes credit back; what arrives nevertheless is held until there is room."""
        self._limit = credit
        if self._link is None or self._stopping or self._paused:
            return
        self._release_held()
        excess = self._outstanding() + len(self._held) - max(0, self._limit - self._in_flight)
        if excess > 0:
            self._take_back(min(excess, self._outstanding()))
        else:
            self.top_up()

    def pause(self) -> None:
        """No further credit, and the outstanding one back."""
        self._paused = True
        if self._link is not None and not self._stopping:
            self._take_back(self._outstanding())

    def give_back(self) -> None:
        """While paused: what is held here, or is still on its way, is for others."""
        self._giving_back = True
        self._send_back(self._held)
        self._held = []

    def resume(self) -> None:
        """Credit again."""
        self._paused = self._giving_back = False
        self._release_held()
        self.top_up()

    def _take_back(self, count: int) -> None:
        if count > 0 and self._link is not None and self._link.open:
            self.connection.engine.flow(self._link, -count)

    def _outstanding(self) -> int:
        link = self._link
        return self.connection.engine.credit(link) if link is not None and link.open else 0

    def top_up(self) -> None:
        """Grant credit for what was settled, in batches, but never leave the broker without any."""
        link = self._link
        if link is None or not link.open or self._paused or self._stopping:
            self._detach_if_done()
            return
        if self._held:
            self._release_held()
        credit = self.connection.engine.credit(link)
        room = self._limit - self._in_flight - len(self._held) - credit
        if room > 0 and (credit <= 0 or room * 4 >= self._limit):
            self.connection.engine.flow(link, room)

    # -- messages --------------------------------------------------------------------------------------------------

    def link_received(self, messages: Received) -> None:
        """Hand over what there is room for."""
        link = self._link
        if link is None:
            return
        engine = self.connection.engine
        if self._stopping:
            self._send_back(messages)
            self.link_credit()  # one that used up the last credit ends the drain without a further word
            return
        credit = engine.credit(link)
        if credit < 0:  # they were on their way when credit was taken back; proton would tell the broker so
            engine.flow(link, -credit)
        if self._giving_back:
            self._send_back(messages)
            return
        self._held.extend(messages)
        self._release_held()
        self.top_up()  # a settlement while some credit was out may have left room that nothing else would grant

    def _send_back(self, messages: Received) -> None:
        """They go back: nobody here has seen them."""
        if self._link is not None:
            for token, _ in messages:
                self.connection.engine.settle(self._link, token, accept=False)

    def _release_held(self) -> None:
        # What is already here when a pause begins may still arrive.
        room = max(0, self._limit - self._in_flight)
        ready, self._held = self._held[:room], self._held[room:]
        if ready:
            self._in_flight += len(ready)
            self._on_messages(self, ready)

    def settled(self, token: int, accept: bool) -> None:
        """Settle one message; the caller tops up after a burst of them."""
        if self._link is not None and self.connection.engine.settle(self._link, token, accept=accept):
            self._in_flight -= 1

    def stop(self, *, detach: bool) -> None:
        """No more messages: those that still come are given back. ``detach``: close the link when all is settled."""
        self._detach_when_settled = self._detach_when_settled or detach
        link = self._link
        if link is None or not link.open:
            resolve(self.quiet)
            return
        if not self._stopping:
            self._stopping = True
            engine = self.connection.engine
            self._send_back(self._held)
            self._held = []
            # With no credit outstanding the broker has nothing to answer to; a message could still be on its way.
            engine.drain(link, 0 if engine.credit(link) > 0 else 1)
        self.link_credit()

    def detach(self) -> None:
        """Close the link at once; what is not settled goes back to the queue."""
        if self._link is not None:
            self.connection.engine.detach(self._link)
        self._forget_link()
        resolve(self.quiet)

    def _detach_if_done(self) -> None:
        if self._detach_when_settled and self._stopping and not self._in_flight and self.quiet.done():
            self.detach()

    def _forget_link(self) -> None:
        self._open = False
        self._link = None
        if self._end in self.connection.on_end:
            self.connection.on_end.remove(self._end)

    # -- the link --------------------------------------------------------------------------------------------------

    def link_opened(self) -> None:
        """Attached: give the first credit."""
        self._open = True
        resolve(self.opened)
        self.top_up()

    def link_credit(self) -> None:
        """Credit came back from a drain."""
        link = self._link
        if link is None:
            return
        if self._stopping:
            if not self.connection.engine.draining(link):
                resolve(self.quiet)
                self._detach_if_done()
        else:
            self.top_up()

    def link_outcome(self, token: int, outcome: Outcome) -> None:
        """A receiving link sends nothing."""

    def link_closed(self, condition: Condition | None) -> None:
        """Refused or closed by the broker; unsettled messages are the queue's again."""
        self._forget_link()
        self._held = []
        resolve(self.quiet)
        if not self.opened.done():
            fail(self.opened, Refused(condition))
        elif self._on_closed is not None:
            self._on_closed(self, condition)
