"""When the I/O thread wakes others, and others wake it: not before all is written, and not for what has to wait."""

from __future__ import annotations

import logging
import select
import socket
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Optional

import pytest

pytest.importorskip("proton")

from aspyx_event import ProviderUnavailable
from aspyx_event.providers.amqp.connection import Connection
from aspyx_event.providers.amqp.nodes import Node
from aspyx_event.providers.amqp.sending import Message, Outbox
from aspyx_event.providers.amqp.settings import AMQPSettings
from tests.unit.providers.amqp.peer import Peer
from tests.unit.support import DEADLINE, Collected, Gate, broken_log, often_switched
from tests.unit.testing.peers import eventually


class Broker:
    """A peer behind a socket that speaks when it is told to, and grants credit for one message."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.far.settimeout(DEADLINE)
        self.peer = Peer(credit=1)

    def speak(self) -> None:
        """Send all it has to say, at once."""
        self.far.sendall(self.peer.said())

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
    made.peer.free()


@pytest.fixture
def connection(broker: Broker, request: pytest.FixtureRequest) -> Iterator[Connection]:
    settings = getattr(request, "param", AMQPSettings())
    made = Connection(broker.near, settings, "localhost", 5672, container="test")
    made.start()
    yield made
    made.abort(ProviderUnavailable("the test is over"))
    assert made.join(DEADLINE)


@pytest.fixture
def outbox(connection: Connection) -> Outbox:
    made = Outbox()
    connection.post(lambda: made.attach(connection, lambda _node, _outcome: None, own_sessions=False))
    return made


def waiting_for_credit(broker: Broker, outbox: Outbox) -> Node:
    """A node to which one message is written, and another waits for credit, as the outbox knows."""
    node = Node("q")
    for number in range(2):
        outbox.post(Message(node, b"accept", str(number)))
    broker.listen(1)
    assert eventually(lambda: outbox._patient is not None, DEADLINE)
    return node


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


def test_who_waits_for_credit_wakes_nobody(
    broker: Broker, connection: Connection, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While messages wait for credit another one joins them without a word, and goes with them when there is credit."""
    node = waiting_for_credit(broker, outbox)
    woken: list[Connection] = []

    def wake(connection: Connection) -> None:
        woken.append(connection)

    monkeypatch.setattr(Connection, "wake", wake)
    outbox.post(Message(node, b"accept", "2"))
    assert not woken
    outbox.post(Message(Node("r"), b"accept", "3"))
    assert woken
    monkeypatch.undo()
    broker.peer.links[0].flow(2)
    broker.listen(4)


class Empty(deque[Message]):
    """Calls somebody when it is found empty for the first time."""

    then: Optional[Callable[[], object]] = None

    def __bool__(self) -> bool:
        filled = len(self) > 0
        then, self.then = (None, self.then) if filled else (self.then, None)
        if then is not None:
            then()
        return filled


def test_a_message_that_comes_just_after_a_look(broker: Broker, outbox: Outbox) -> None:
    """Who posts when the I/O thread has just looked, and with credit will not wait any more, wakes it."""
    node = waiting_for_credit(broker, outbox)
    outbox._inbox = inbox = Empty()
    outbox.post(Message(node, b"accept", "2"))
    inbox.then = lambda: outbox.post(Message(node, b"accept", "3"))
    broker.peer.links[0].flow(5)
    broker.listen(4)


def test_little_credit_and_many_senders(broker: Broker, outbox: Outbox) -> None:
    """However credit and messages come, none stays behind."""
    node, each = Node("q"), 40  # the peer reads tags as text, which they are up to 127
    messages = [[Message(node, b"accept", str(n)) for n in range(each)] for _ in range(3)]
    with often_switched(), ThreadPoolExecutor(len(messages)) as executor:
        for share in messages:
            executor.submit(lambda share: [outbox.post(message) for message in share], share)
        for count in range(1, 3 * each + 1):
            broker.listen(count)
            if broker.peer.links[0].credit <= 0:
                broker.peer.links[0].flow(1 + count % 5)
    broker.peer.answer()
    broker.speak()
    for share in messages:
        for message in share:
            message.confirmation.result(DEADLINE)


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


@pytest.mark.parametrize("connection", [AMQPSettings(heartbeat=0.2)], indirect=True)
def test_a_peer_that_reads_no_more(broker: Broker, connection: Connection, outbox: Outbox) -> None:
    """A peer that has gone silent is lost after two heartbeats, also when the socket is full."""
    broker.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    broker.peer.credit = 1000
    node = Node("q")
    outbox.post(Message(node, b"accept", "1"))
    broker.listen(1)
    for _ in range(300):
        outbox.post(Message(node, 10_000 * b".", "2"))
    assert "idle" in str(connection.ended.result(DEADLINE))
