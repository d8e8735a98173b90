"""When confirmations are answered: after everything that could be written is written."""

from __future__ import annotations

import logging
import select
import socket
from collections.abc import Iterator

import pytest

pytest.importorskip("proton")

from aspyx_event import ProviderUnavailable
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.nodes import Node
from aspyx_event.providers.amqp.sending import Message, Outbox
from aspyx_event.providers.amqp.settings import AMQPSettings
from tests.unit.providers.amqp.peer import Peer
from tests.unit.support import DEADLINE, Collected, Gate, broken_log


class Broker:
    """A peer behind a socket that speaks when it is told to, and grants credit for one message."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.far.settimeout(DEADLINE)
        self.peer = Peer(credit=1)

    def speak(self) -> None:
        """Send all it has to say, at once."""
        found = b""
        while self.peer.transport.pending() > 0:
            data = bytes(self.peer.transport.peek(self.peer.transport.pending()))
            self.peer.transport.pop(len(data))
            found += data
        if found:
            self.far.sendall(found)

    def listen(self, messages: int) -> None:
        """Talk until so many messages have come."""
        while len(self.peer.received) < messages:
            self.speak()
            self.peer.transport.push(self.far.recv(self.peer.transport.capacity()))
            self.peer.work()

    def has_mail(self) -> bool:
        """Whether something was written to it."""
        return bool(select.select([self.far], [], [], 0)[0])


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker()
    yield made
    made.far.close()
    made.peer.transport.unbind()
    made.peer.collector.release()


@pytest.fixture
def connection(broker: Broker) -> Iterator[Connection]:
    made = Connection(broker.near, AMQPSettings(), "localhost", 5672, container="test")
    made.start()
    yield made
    made.abort(ProviderUnavailable("the test is over"))
    assert made.join(DEADLINE)


@pytest.fixture
def outbox(connection: Connection) -> Outbox:
    made = Outbox()
    connection.post(lambda: made.attach(connection, lambda _node, _outcome: None, own_sessions=False))
    return made


def test_the_next_message_is_written_before_a_sender_is_woken(broker: Broker, outbox: Outbox) -> None:
    """A broker that confirms and gives credit has the next message before anybody hears of the confirmation."""
    first, second = Message(Node("q"), b"accept", "1"), Message(Node("q"), b"accept", "2")
    written = Collected[bool]()
    first.confirmation.add_done_callback(lambda _: written(broker.has_mail()))
    outbox.post(first)
    outbox.post(second)
    broker.listen(1)
    broker.peer.answer()
    broker.peer.links[0].flow(1)
    broker.speak()
    assert written.wait(1) == [True]
    broker.listen(2)
    broker.peer.answer()
    broker.speak()
    second.confirmation.result(DEADLINE)


def test_the_last_words_of_a_broker_count(broker: Broker, connection: Connection, outbox: Outbox) -> None:
    """What is confirmed just before the connection breaks, while the next message is written, is not sent again."""
    first, second, busy = Message(Node("q"), b"accept", "1"), Message(Node("q"), b"accept", "2"), Gate()
    outbox.post(first)
    outbox.post(second)
    broker.listen(1)
    broker.peer.answer()
    broker.peer.links[0].flow(1)
    connection.post(busy.hold)
    busy.wait_reached()
    broker.speak()
    broker.far.close()
    busy.open()
    first.confirmation.result(DEADLINE)
    assert not second.confirmation.done()


def test_a_callback_that_fails(broker: Broker, connection: Connection, outbox: Outbox) -> None:
    """When it fails and cannot even be logged, the others that came with it are answered, and the thread ends."""
    first, second = Message(Node("q"), b"accept", "1"), Message(Node("q"), b"accept", "2")
    broker.peer.credit = 2
    first.confirmation.add_done_callback(lambda _: 1 / 0)
    outbox.post(first)
    outbox.post(second)
    with broken_log(logging.getLogger("concurrent.futures")):
        broker.listen(2)
        broker.peer.answer()
        broker.speak()
        second.confirmation.result(DEADLINE)
        assert isinstance(connection.ended.result(DEADLINE), ProviderUnavailable)
