"""Sending links, and the messages that wait for them. Messages outlive connections, links do not."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Callable, Optional

from aspyx_event.exceptions import ProviderError, ProviderUnavailable
from aspyx_event.provider import Confirmation
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.errors import attach_error
from aspyx_event.providers.amqp.links import Link, Received
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome
from aspyx_event.providers.network.futures import Answer, fail

MAX_LINKS = 256
"""Open at a time. More event types than this, sent in turns, attach a link for each event."""
_SMALL = 1000
_PATIENCE = 5.0
"""Seconds for a node to come up. RabbitMQ tells others that a quorum queue exists before it has a leader, and refuses
what is sent to it until then: for up to 0.3 s, measured."""

Judge = Callable[[Node, Outcome], Optional[ProviderError]]
"""The dialect's reading of an outcome: None is a success."""
Prepare = Callable[[Node, Callable[[Optional[ProviderError]], None]], None]
"""Has declared what a node needs, and then calls back: None is a success. For the I/O thread."""


class Message:
    """Encoded bytes on their way, and who waits for their confirmation."""

    __slots__ = ("confirmation", "data", "event_id", "node", "waits_in")

    def __init__(self, node: Node, data: bytes, event_id: str | None, waits_in: str | None = None) -> None:
        self.node = node
        self.data = data
        self.event_id = event_id
        self.waits_in = waits_in
        """The queue for delays that it goes to, where that has to be known."""
        self.confirmation: Confirmation[None] = Answer()

    def fail(self, error: ProviderError) -> None:
        """Tell the waiter, with an exception of its own that names its event."""
        own = type(error).__new__(type(error))
        own.__dict__.update(error.__dict__)
        own.args = error.args
        own.event_id = self.event_id
        fail(self.confirmation, own)


class Sender:
    """One sending link of one connection. Belongs to the I/O thread."""

    def __init__(
        self,
        connection: Connection,
        node: Node,
        judge: Judge,
        *,
        own_session: bool = False,
        prepare: Prepare | None = None,
    ) -> None:
        self._connection = connection
        self._judge = judge
        self._own_session = own_session
        self._prepare = prepare if node.need is not None else None
        self._preparing = False
        self._refused_since: float | None = None
        self.node = node
        self.pending: deque[Message] = deque()
        self._unsettled: dict[int, Message] = {}
        self._opened = False
        self._reopened = False
        self._link: Link | None = None
        self._live_after_purge = _SMALL
        self._open()

    def _open(self) -> None:
        if self._prepare is None:
            self._attach()
        else:
            self._preparing = True
            self._prepare(self.node, self._prepared)

    def _prepared(self, error: ProviderError | None) -> None:
        if isinstance(error, ProviderUnavailable):
            return  # the connection has ended; what waits here goes over the next one
        self._preparing = False
        if error is not None:
            self._refuse(error)
        elif self._link is None:
            self._attach()
        else:
            self.write()

    def _attach(self) -> None:
        self._link = self._connection.engine.sender(self.node, self, own_session=self._own_session)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is on its way."""
        return not self.pending and not self._unsettled and not self._preparing

    def write(self) -> None:
        """Write what credit allows. Messages that nobody waits for any more are dropped."""
        link = self._link
        if link is None or not link.open or self._preparing:
            self._purge()
            return
        engine = self._connection.engine
        credit = engine.credit(link)
        pending = self.pending
        while credit > 0 and pending:
            message = pending.popleft()
            if message.confirmation.cancelled():
                continue
            self._unsettled[engine.send(link, message.data)] = message
            credit -= 1
        self._purge()

    def _purge(self) -> None:
        # A broker that grants no credit lets cancelled messages pile up; looking at all of them each time is quadratic.
        if len(self.pending) > 2 * self._live_after_purge:
            self.pending = deque(message for message in self.pending if not message.confirmation.cancelled())
            self._live_after_purge = max(_SMALL, len(self.pending))

    def unfinished(self) -> list[Message]:
        """What has to be written again, in order."""
        messages = [*self._unsettled.values(), *self.pending]
        self._unsettled.clear()
        self.pending.clear()
        return messages

    def close(self) -> None:
        """Detach the link."""
        if self._link is not None and self._connection.engine is not None:
            self._connection.engine.detach(self._link)
        self._link = None

    def link_opened(self) -> None:
        """Write what waited for the link."""
        self._opened = True
        self.write()

    def link_credit(self) -> None:
        """Write what waited for credit."""
        self.write()

    def link_received(self, messages: Received) -> None:
        """A sending link receives nothing."""

    def link_outcome(self, token: int, outcome: Outcome) -> None:
        """Tell the waiter."""
        self._reopened = False
        message = self._unsettled.pop(token, None)
        if message is None:
            return
        error = self._judge(self.node, outcome)
        if error is None:
            self._refused_since = None
            self._connection.confirm(message.confirmation)
            return
        if self._may_come_up():
            self.pending.append(message)
        else:
            message.fail(error)
        if self._prepare is not None and not self._preparing:  # what it needs may be gone
            self._preparing = True
            self._prepare(self.node, self._prepared)

    def _may_come_up(self) -> bool:
        """Whether the node has only just begun to refuse, and what it refused has reached nobody."""
        if self.node.need is None or not self.node.need.required:
            return False
        now = time.monotonic()
        if self._refused_since is None:
            self._refused_since = now
        return now - self._refused_since < _PATIENCE

    def link_closed(self, condition: Condition | None) -> None:
        """Refused: its messages fail. Closed later on: they are written again, unless that got nowhere before."""
        self._link = None
        again = self.unfinished()
        if not again:
            return
        if self._opened and not self._reopened:
            self._opened, self._reopened = False, True
            self.pending.extend(again)
            self._open()
            return
        self.pending.extend(again)
        self._refuse(attach_error(f"sending to {self.node} was refused", condition, address=str(self.node), queue=None))

    def _refuse(self, error: ProviderError) -> None:
        for message in self.unfinished():
            message.fail(error)

    @property
    def gone(self) -> bool:
        """Refused or closed: another one has to be made."""
        return self._link is None and not self._preparing


class Outbox:
    """All messages to be sent. ``post`` is thread-safe; everything else belongs to the current I/O thread.

    Between two connections it belongs to the supervisor, which begins a connection only when the last one has ended.
    """

    def __init__(self) -> None:
        self._inbox: deque[Message] = deque()
        self._backlog: OrderedDict[Node, deque[Message]] = OrderedDict()
        self._senders: OrderedDict[Node, Sender] = OrderedDict()
        self._connection: Optional[Connection] = None
        self._patient: Optional[Sender] = None
        """One where messages wait for credit or the link: the I/O thread hears of both by itself."""
        self._judge: Judge = lambda _node, _outcome: None
        self._own_sessions = False
        self._prepare: Optional[Prepare] = None
        self._closed: Optional[ProviderError] = None
        self._lock = threading.Lock()

    def post(self, message: Message) -> Confirmation[None]:
        """Queue a message; while there is no connection it waits. Nobody is woken where others wait for credit."""
        self._inbox.append(message)
        connection = self._connection
        if connection is not None:
            patient = self._patient
            waits = patient is not None and patient.node is message.node and patient.pending
            if not waits or len(self._inbox) > _SMALL:
                connection.wake()
        elif self._closed is not None:
            self.fail_all(self._closed)
        return message.confirmation

    def attach(
        self, connection: Connection, judge: Judge, *, own_sessions: bool, prepare: Prepare | None = None
    ) -> None:
        """Send over this connection from now on, what waited first. On its I/O thread."""
        if connection.engine is None:
            return
        self._judge, self._own_sessions, self._prepare = judge, own_sessions, prepare
        connection.on_end.append(self._detach)
        connection.on_wake = self.flush
        self._connection = connection
        backlog, self._backlog = self._backlog, OrderedDict()
        for messages in backlog.values():
            self._put(messages)
        self.flush()

    def flush(self) -> None:
        """Bring new messages to their links."""
        patient, self._patient = self._patient, None  # before looking at them: who posts from now on wakes this thread
        inbox = self._inbox
        touched: dict[Node, Sender] = {}
        found: Sender | None = None
        while inbox:
            message = inbox.popleft()
            node = message.node
            if found is None or node is not found.node:  # mostly it is: a node takes its time to be hashed
                found = touched.get(node)
                if found is None:
                    found = touched[node] = self._sender(node)
            found.pending.append(message)
        for sender in touched.values():
            sender.write()
            if sender.pending:
                patient = sender
        if patient is not None and patient.pending:
            self._patient = patient

    def _put(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._sender(message.node).pending.append(message)

    def _sender(self, node: Node) -> Sender:
        sender = self._senders.get(node)
        if sender is not None and not sender.gone:
            self._senders.move_to_end(node)
            return sender
        assert self._connection is not None
        if len(self._senders) >= MAX_LINKS:
            self._close_idle()
        sender = self._senders[node] = Sender(
            self._connection, node, self._judge, own_session=self._own_sessions, prepare=self._prepare
        )
        return sender

    def _close_idle(self) -> None:
        for node, sender in self._senders.items():
            if sender.idle:
                sender.close()
                del self._senders[node]
                return

    def _detach(self, _error: ProviderError) -> None:
        self._connection = self._patient = None
        for node, sender in self._senders.items():
            messages = sender.unfinished()
            if messages:
                self._backlog.setdefault(node, deque()).extend(messages)
        self._senders.clear()

    def purge(self) -> None:
        """Between connections: forget messages that nobody waits for any more."""
        while self._inbox:
            message = self._inbox.popleft()
            self._backlog.setdefault(message.node, deque()).append(message)
        for node in list(self._backlog):
            live = deque(message for message in self._backlog[node] if not message.confirmation.cancelled())
            if live:
                self._backlog[node] = live
            else:
                del self._backlog[node]

    def open(self) -> None:
        """Accept messages (again)."""
        self._closed = None

    def close(self, error: ProviderError) -> None:
        """After the last connection: fail everything, and what will be posted."""
        self._closed = error
        self.fail_all(error)

    def fail_all(self, error: ProviderError) -> None:
        """Fail everything that waits."""
        with self._lock:
            self.purge()
            backlog, self._backlog = self._backlog, OrderedDict()
        for messages in backlog.values():
            for message in messages:
                message.fail(error)

    @property
    def waiting(self) -> int:
        """About how many messages wait."""
        return len(self._inbox) + sum(len(messages) for messages in list(self._backlog.values()))
