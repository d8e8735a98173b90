"""What a dialect may do on a live connection: ask, and try whether a link attaches. Not for the I/O thread."""

from __future__ import annotations

import queue
import threading
import uuid
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Callable, Optional

from aspyx_event.exceptions import ProviderError, ProviderUnavailable
from aspyx_event.providers.amqp import sections as s
from aspyx_event.providers.amqp.browsing import Scan
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.links import Received
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome, State
from aspyx_event.providers.amqp.receiving import Receiver, Refused
from aspyx_event.providers.amqp.sending import Message, Sender
from aspyx_event.providers.network.futures import awaited, fail
from aspyx_event.timing import Deadline

_CREDIT = 8


def wait(future: Future[Any], deadline: Deadline, connection: Connection, what: str) -> Any:
    """The future's result; ProviderUnavailable names what did not happen in time."""
    try:
        return awaited(future, deadline.left())
    except FutureTimeout as error:
        if future.done():
            raise
        raise ProviderUnavailable(f"{connection.where}: {what}: no answer in time") from error


def only_accepted(node: Node, outcome: Outcome) -> ProviderError | None:
    """Judge a request: what is not accepted was refused."""
    if outcome.state is State.ACCEPTED:
        return None
    return RequestRefused(f"{node} refused a request: {outcome.condition or outcome.state.value}", outcome.condition)


class RequestRefused(ProviderError):
    """The broker did not take a request at all."""

    def __init__(self, message: str, condition: Condition | None = None) -> None:
        super().__init__(message)
        self.condition = condition


class Channel:
    """Requests over one connection. Thread-safe; one request at a time."""

    def __init__(self, connection: Connection, *, own_sessions: bool) -> None:
        self.connection = connection
        self.own_sessions = own_sessions
        self.may_manage = True
        """Cleared by a dialect when the user turned out to have no such rights: asking again would be in vain."""
        self._lock = threading.Lock()
        self._sender: Optional[Sender] = None
        self._receiver: Optional[Receiver] = None
        self._reply_address = ""
        self._replies: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def request(self, target: Node, reply: Node, make: Callable[[str, str], bytes], deadline: Deadline) -> s.Sections:
        """Send what ``make(request id, reply address)`` encodes and wait for the reply with that correlation id.

        Raises RequestRefused when the broker does not take it, ProviderUnavailable when no answer comes.
        """
        with self._lock:
            self._open(target, reply, deadline)
            assert self._receiver is not None
            receiver, request_id = self._receiver, uuid.uuid4().hex
            data = make(request_id, receiver.node.address or self._reply_address)
            message = Message(target, data, None)
            self._post(lambda: self._send(message), message.confirmation)
            wait(message.confirmation, deadline, self.connection, f"request to {target}")
            return self._reply(request_id, target, deadline)

    def attach(self, receiver: Receiver, deadline: Deadline) -> None:
        """Attach a receiving link. Raises Refused, or ProviderUnavailable."""
        self._post(lambda: receiver.attach(own_session=self.own_sessions), receiver.opened)
        wait(receiver.opened, deadline, self.connection, f"attach to {receiver.node}")

    def open_scan(self, scan: Scan) -> None:
        """Open the link of a scan; ``scan.opened`` tells."""
        self._post(lambda: scan.attach(own_session=self.own_sessions), scan.opened)

    def try_source(self, node: Node, deadline: Deadline) -> None:
        """Attach to a source and detach again: on some brokers that brings it into being. Raises like ``attach``."""
        receiver = Receiver(self.connection, node, lambda _receiver, _messages: None, credit=0)
        self.attach(receiver, deadline)
        self.connection.post(receiver.detach)

    def try_target(self, node: Node, deadline: Deadline) -> None:
        """Attach to a target and detach again. Raises like ``attach``."""
        probe = _Probe(self.connection, node)
        self._post(lambda: probe.attach(self.own_sessions), probe.opened)
        wait(probe.opened, deadline, self.connection, f"attach to {node}")
        self.connection.post(probe.close)

    def _post(self, command: Callable[[], None], answer: Future[Any]) -> None:
        def guarded() -> None:
            try:
                if self.connection.engine is None:
                    raise ProviderUnavailable(f"the connection to {self.connection.where} is lost")
                command()
            except Exception as error:  # noqa: BLE001 - the waiter gets it
                fail(answer, error if isinstance(error, ProviderError) else ProviderError(repr(error)))

        if not self.connection.post(guarded):
            fail(answer, ProviderUnavailable(f"the connection to {self.connection.where} is lost"))

    def _open(self, target: Node, reply: Node, deadline: Deadline) -> None:
        if self._receiver is not None and self._receiver.alive:
            return
        self._sender = None
        receiver = Receiver(self.connection, reply, self._received, credit=_CREDIT)
        self._receiver = None
        try:
            self._post(lambda: self._attach_pair(receiver, target), receiver.opened)
            wait(receiver.opened, deadline, self.connection, f"attach to {target}")
        except Refused as error:
            raise RequestRefused(f"{target} cannot be used: {error.condition}", error.condition) from error
        self._receiver = receiver
        address: Future[str | None] = Future()
        self._post(lambda: address.set_result(receiver.address), address)
        self._reply_address = wait(address, deadline, self.connection, "reply address") or ""

    def _attach_pair(self, receiver: Receiver, target: Node) -> None:
        self._sender = Sender(self.connection, target, only_accepted, own_session=False)
        self.connection.on_end.append(self._lost)
        receiver.attach(own_session=False)

    def _lost(self, error: ProviderError) -> None:
        for message in self._sender.unfinished() if self._sender is not None else ():
            message.fail(error)

    def _send(self, message: Message) -> None:
        if self._sender is None or self._sender.gone:
            self._sender = Sender(self.connection, message.node, only_accepted, own_session=False)
        self._sender.pending.append(message)
        self._sender.write()

    def _received(self, receiver: Receiver, messages: Received) -> None:
        for token, data in messages:
            receiver.settled(token, True)
            self._replies.put(data)
        receiver.top_up()

    def _reply(self, request_id: str, target: Node, deadline: Deadline) -> s.Sections:
        while True:
            try:
                found = s.split(self._replies.get(timeout=_poll(deadline)))
            except queue.Empty:
                if deadline.passed or not self.connection.alive:
                    raise ProviderUnavailable(f"{self.connection.where}: {target}: no reply in time") from None
                continue
            except ValueError:
                continue
            if str(found.of_properties(s.CORRELATION_ID)) == request_id:
                return found  # else the late answer to a question that was given up


def _poll(deadline: Deadline) -> float:
    left = deadline.left()
    return 0.5 if left is None else min(0.5, left)


class _Probe:
    """A sending link that is opened to see whether it can be."""

    def __init__(self, connection: Connection, node: Node) -> None:
        self.opened: Future[None] = Future()
        self._connection, self._node = connection, node
        self._link: Any = None

    def attach(self, own_session: bool) -> None:
        self._connection.on_end.append(lambda error: fail(self.opened, error))
        self._link = self._connection.engine.sender(self._node, self, own_session=own_session)

    def close(self) -> None:
        if self._connection.engine is not None and self._link is not None:
            self._connection.engine.detach(self._link)

    def link_opened(self) -> None:
        if not self.opened.done():
            self.opened.set_result(None)

    def link_closed(self, condition: Condition | None) -> None:
        self._link = None
        fail(self.opened, Refused(condition))

    def link_credit(self) -> None:
        """Nothing to write."""

    def link_received(self, messages: Received) -> None:
        """A sending link receives nothing."""

    def link_outcome(self, token: int, outcome: Outcome) -> None:
        """Nothing was sent."""
