"""The engine against proton's own objects in the same thread: what it hears of a peer, and in which order."""

from __future__ import annotations

from typing import Any, Optional

import pytest

proton = pytest.importorskip("proton")

from aspyx_event.providers.amqp.engine import Engine  # noqa: E402 - after the check
from aspyx_event.providers.amqp.nodes import Node, State  # noqa: E402 - after the check
from aspyx_event.providers.amqp.settings import AMQPSettings  # noqa: E402 - after the check
from tests.unit.providers.amqp.peer import Peer  # noqa: E402 - after the check


class Owner:
    """Writes down what the engine says of the connection, and of a link."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.messages: list[tuple[int, bytes]] = []

    def connection_opened(self, properties: dict[str, Any]) -> None:
        self.heard.append(("connected",))

    def connection_ended(self, phase: str, condition: Any) -> None:
        self.heard.append(("ended",))

    def link_opened(self) -> None:
        self.heard.append(("opened",))

    def link_credit(self) -> None:
        """Not written down: how often it comes is proton's business."""

    def link_received(self, messages: list[tuple[int, bytes]]) -> None:
        self.messages.extend(messages)

    def link_outcome(self, token: int, outcome: Any) -> None:
        self.heard.append((token, outcome.state, str(outcome.condition or "")))

    def link_closed(self, condition: Any) -> None:
        self.heard.append(("closed", str(condition)))


class Pair:
    """Both, and the wire between them."""

    def __init__(self) -> None:
        self.peer, self.owner = Peer(), Owner()
        self.engine: Optional[Engine] = Engine(AMQPSettings(), "localhost", container="test", owner=self.owner)

    def to_peer(self) -> None:
        assert self.engine is not None
        self.engine.pump()
        while True:
            data = self.engine.output()
            if not data:
                return
            self.engine.sent(len(data))
            left = bytes(data)
            while left:
                room = self.peer.transport.capacity()
                self.peer.transport.push(left[:room])
                left = left[room:]
                self.peer.work()

    def exchange(self) -> None:
        """Until neither has anything to say."""
        assert self.engine is not None
        for _ in range(20):
            self.to_peer()
            data = self.peer.said()
            if not data:
                return
            self.engine.receive(data)
        raise AssertionError("they never end")


@pytest.fixture
def pair() -> Any:
    made = Pair()
    yield made
    made.engine.free()
    made.peer.free()


def test_outcomes(pair: Pair) -> None:
    """Each message arrives as it was written, and each answer is told once, for its message, with its reason."""
    link = pair.engine.sender(Node("q"), pair.owner)
    pair.exchange()
    assert pair.engine.credit(link) == 100
    kinds = [b"accept", b"reject", b"release", b"modify", b"accept"]
    tokens = [pair.engine.send(link, kind) for kind in kinds]
    assert pair.engine.credit(link) == 95
    pair.to_peer()
    assert pair.peer.received == kinds
    assert len(set(pair.peer.tags)) == 5
    pair.owner.heard.clear()
    pair.peer.answer()
    pair.exchange()
    states = [State.ACCEPTED, State.REJECTED, State.RELEASED, State.MODIFIED, State.ACCEPTED]
    full = "amqp:resource-limit-exceeded: full"
    assert sorted(pair.owner.heard) == [  # proton writes ranges of the same answer together
        (token, state, full if state is State.REJECTED else "") for token, state in zip(tokens, states)
    ]


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 300_000])
def test_bytes(pair: Pair, size: int) -> None:
    """Bytes of all kinds arrive as they are in both directions, zeros included, empty ones and many of them."""
    data = bytes(number % 256 for number in range(size))
    sending, receiving = pair.engine.sender(Node("q"), pair.owner), pair.engine.receiver(Node("q"), pair.owner)
    pair.exchange()
    pair.engine.send(sending, data)
    pair.to_peer()
    assert pair.peer.received == [data]
    pair.engine.flow(receiving, 5)
    pair.exchange()
    [out] = [link for link in pair.peer.links if link.is_sender]
    delivery = out.delivery("tag")
    out.stream(data)
    out.advance()
    pair.exchange()
    assert [body for _, body in pair.owner.messages] == [data]
    token = pair.owner.messages[0][0]
    assert pair.engine.settle(receiving, token, accept=True)
    assert not pair.engine.settle(receiving, token, accept=True)
    pair.exchange()
    assert delivery.remote_state == proton.Delivery.ACCEPTED


@pytest.mark.parametrize("what", ["link", "session", "connection"])
def test_outcomes_before_the_end(pair: Pair, what: str) -> None:
    """What was confirmed before the peer closed the link, in the same read, is told before the link is closed."""
    link = pair.engine.sender(Node("q"), pair.owner)
    pair.exchange()
    tokens = [pair.engine.send(link, b"accept") for _ in range(3)]
    pair.to_peer()
    pair.owner.heard.clear()
    pair.peer.answer()
    if what == "link":
        pair.peer.links[0].close()
    elif what == "session":
        pair.peer.links[0].session.close()
    else:
        pair.peer.connection.close()
    data = pair.peer.said()
    pair.engine.receive(data)
    told = [(token, State.ACCEPTED, "") for token in tokens]
    assert pair.owner.heard[:3] == told
    assert [heard[0] for heard in pair.owner.heard[3:]] == ([] if what == "connection" else ["closed"])


def test_outcomes_before_garbage(pair: Pair) -> None:
    """What was confirmed before the peer sent what is no AMQP, in the same read, is told all the same."""
    link = pair.engine.sender(Node("q"), pair.owner)
    pair.exchange()
    tokens = [pair.engine.send(link, b"accept") for _ in range(3)]
    pair.to_peer()
    pair.owner.heard.clear()
    pair.peer.answer()
    data = pair.peer.said() + b"\0\0\0\1garbage"
    pair.engine.receive(data)
    assert pair.owner.heard[:3] == [(token, State.ACCEPTED, "") for token in tokens]


def test_settled_when_sent(pair: Pair) -> None:
    """What is sent settled arrives settled, and nothing is told of it."""
    link = pair.engine.sender(Node("q"), pair.owner)
    pair.exchange()
    pair.owner.heard.clear()
    pair.engine.send_settled(link, b"accept")
    pair.to_peer()
    assert pair.peer.received == [b"accept"]
    assert pair.peer.held[0].settled
    pair.exchange()
    assert pair.owner.heard == []
