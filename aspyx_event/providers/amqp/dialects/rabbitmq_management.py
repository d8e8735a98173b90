"""RabbitMQ's management over AMQP 1.0: two links of one name to ``/management``, on one session."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Callable, NamedTuple, Optional, Union
from urllib.parse import quote

from aspyx_event.exceptions import ProviderError, ProviderUnavailable
from aspyx_event.providers.amqp import sections as s
from aspyx_event.providers.amqp import wire
from aspyx_event.providers.amqp.channel import wait
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.errors import INTERNAL_ERROR, UNAUTHORIZED
from aspyx_event.providers.amqp.links import Link, Received
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome, Request
from aspyx_event.providers.brokers.rabbitmq import Binding, Queue
from aspyx_event.providers.network.futures import fail, resolve
from aspyx_event.timing import Deadline

_NODE = Node("/management", paired=True)
_REPLY_TO = "$me"
_CREDIT = 32
CREATED, CONFLICT, FORBIDDEN, NOT_FOUND = 201, 409, 403, 404
_NULL_BODY = wire.described(s.VALUE, wire.NULL)  # a request without any body section ends the session


class Answer(NamedTuple):
    """What the broker answered to a request."""

    status: int
    value: Any
    """A dict, or the explanation of a refusal."""

    @property
    def refusal(self) -> str:
        """Why it was refused; empty when it was not."""
        return "" if self.status < 400 else f"{self.status}: {self.value}"


Done = Callable[[Union[Answer, ProviderError]], None]

_COMING_UP = "is down or inaccessible"
"""So the broker calls a queue that somebody else is declaring, too."""
_PATIENCE = 5.0


class _Asked:
    """A request that has no answer yet."""

    __slots__ = ("data", "done", "repeated", "since")

    def __init__(self, data: bytes, done: Done) -> None:
        self.data = data
        self.done = done
        self.repeated = False
        self.since = time.monotonic()

    @property
    def age(self) -> float:
        return time.monotonic() - self.since


def put_queue(queue: Queue) -> Request:
    """Declare a queue."""
    options = {"durable": True, "auto_delete": False, "exclusive": False, "arguments": dict(queue.arguments)}
    return Request("PUT", f"/queues/{encoded(queue.name)}", _body(options))


def get_queue(name: str) -> Request:
    """Ask for a queue."""
    return Request("GET", f"/queues/{encoded(name)}", _NULL_BODY)


def put_exchange(name: str) -> Request:
    """Declare a fanout exchange."""
    options = {"type": "fanout", "durable": True, "auto_delete": False, "internal": False, "arguments": {}}
    return Request("PUT", f"/exchanges/{encoded(name)}", _body(options))


def post_binding(binding: Binding) -> Request:
    """Bind; not an error when it is bound already."""
    kind = "destination_exchange" if binding.to_exchange else "destination_queue"
    options = {"source": binding.source, kind: binding.destination, "binding_key": binding.key, "arguments": {}}
    return Request("POST", "/bindings", _body(options))


def get_bindings(binding: Binding) -> Request:
    """Ask for the bindings between these two ends with this key."""
    kind = "dste" if binding.to_exchange else "dstq"
    query = f"src={encoded(binding.source)}&{kind}={encoded(binding.destination)}&key={encoded(binding.key)}"
    return Request("GET", f"/bindings?{query}", _NULL_BODY)


def encoded(name: str) -> str:
    """A name as a part of an address."""
    return quote(name, safe="")


class Management:
    """The pair of one connection. ``call`` is thread-safe and waits; all else belongs to the I/O thread."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._ids = itertools.count(1)
        self._pending: deque[str] = deque()
        self._waiting: dict[str, _Asked] = {}
        """In the order of their sending, which is that of the answers. Those in ``_pending`` are not sent yet."""
        self._sender: Optional[Link] = None
        self._receiver: Optional[Link] = None

    def call(self, request: Request, deadline: Deadline) -> Answer:
        """Ask and wait. Raises ProviderUnavailable, or ProviderError when the broker takes no requests at all."""
        future: Future[Answer] = Future()

        def done(result: Union[Answer, ProviderError]) -> None:
            if isinstance(result, ProviderError):
                fail(future, result)
            else:
                resolve(future, result)

        if not self.connection.post(lambda: self.submit(request, done)):
            raise ProviderUnavailable(f"the connection to {self.connection.where} is lost")
        answer: Answer = wait(future, deadline, self.connection, f"{request.method} {request.path}")
        return answer

    def submit(self, request: Request, done: Done) -> None:
        """Ask; ``done`` gets the answer, or why there is none."""
        if self.connection.engine is None:
            done(ProviderUnavailable(f"the connection to {self.connection.where} is lost"))
            return
        number = str(next(self._ids))
        fields = s.Outgoing(message_id=number, to=request.path, subject=request.method, reply_to=_REPLY_TO)
        self._waiting[number] = _Asked(s.join(fields, request.body), done)
        self._pending.append(number)
        if self._sender is None:
            self._open()
        self._write()

    def _open(self) -> None:
        if self._end not in self.connection.on_end:
            self.connection.on_end.append(self._end)
        engine = self.connection.engine
        self._sender = engine.sender(_NODE, self)
        self._receiver = engine.receiver(_NODE, self)

    def _write(self) -> None:
        sender, receiver = self._sender, self._receiver
        if sender is None or receiver is None or not (sender.open and receiver.open):
            return
        engine = self.connection.engine
        while self._pending and engine.credit(sender) > 0:
            engine.send_settled(sender, self._waiting[self._pending.popleft()].data)

    def _end(self, error: ProviderError) -> None:
        self._sender = self._receiver = None
        self._pending.clear()
        waiting, self._waiting = self._waiting, {}
        for asked in waiting.values():
            asked.done(error)

    # -- both links ------------------------------------------------------------------------------------------------

    def link_opened(self) -> None:
        """One of them; the replies need credit."""
        receiver = self._receiver
        if receiver is not None and receiver.open:
            engine = self.connection.engine
            engine.flow(receiver, _CREDIT - engine.credit(receiver))
        self._write()

    def link_credit(self) -> None:
        """Write what waited for credit."""
        self._write()

    def link_received(self, messages: Received) -> None:
        """Replies."""
        engine, receiver = self.connection.engine, self._receiver
        if receiver is None:
            return
        for token, data in messages:
            engine.settle(receiver, token, accept=True)
            self._reply(data)
        if self._receiver is receiver:
            engine.flow(receiver, len(messages))

    def _reply(self, data: bytes) -> None:
        try:
            found = s.split(data)
            value = _plain(s.body_values(found.body)[0])
            status = int(found.of_properties(s.SUBJECT))
        except (ValueError, TypeError, IndexError):
            return  # no reply of a management: whoever waits gives up in time
        number = str(found.of_properties(s.CORRELATION_ID))
        asked = self._waiting.pop(number, None)
        if asked is None:
            return
        if _COMING_UP in str(value) and asked.age < _PATIENCE:
            self._waiting[number] = asked
            self._pending.append(number)
            self._write()
        else:
            asked.done(Answer(status, value))

    def link_outcome(self, token: int, outcome: Outcome) -> None:
        """Requests are sent settled."""

    def link_closed(self, condition: Condition | None) -> None:
        """Refused, or ended by the first request without an answer: one for which this user has no right, say.

        Those behind it were not looked at. They are sent again, over a new pair. So is one that ended in an internal
        error, once: RabbitMQ 4.0 has one for a queue that somebody else declares at the same moment.
        """
        links = [link for link in (self._sender, self._receiver) if link is not None]
        if all(link.impl is not None for link in links):
            return  # the second of an old pair
        for link in links:
            self.connection.engine.detach(link)
        self._sender = self._receiver = None
        sent = [number for number in self._waiting if number not in self._pending]
        if not sent:
            self._end(ProviderError(f"{self.connection.where}: the broker's management cannot be had: {condition}"))
            return
        asked = self._waiting[sent[0]]
        again = condition is not None and condition.name == INTERNAL_ERROR and not asked.repeated
        asked.repeated = True
        if not again:
            del self._waiting[sent[0]]
        self._pending = deque(self._waiting)
        if self._pending:
            self._open()
        if again:
            return
        if condition is not None and condition.name == UNAUTHORIZED:
            asked.done(Answer(FORBIDDEN, condition.description))
        else:
            asked.done(ProviderError(f"{self.connection.where}: the broker ended its management: {condition}"))


def _body(value: Mapping[str, Any]) -> bytes:
    return wire.described(s.VALUE, _value(value))


def _value(value: Any) -> bytes:
    if isinstance(value, bool):
        return wire.boolean(value)
    if isinstance(value, int):
        return wire.long(value)
    if isinstance(value, str):
        return wire.string(value)
    return wire.mapped([(wire.string(key), _value(entry)) for key, entry in value.items()])


def _plain(value: Any) -> Any:
    """Maps are read as pairs."""
    if isinstance(value, list) and value and all(isinstance(entry, tuple) and len(entry) == 2 for entry in value):
        return {key: _plain(entry) for key, entry in value}
    return value
