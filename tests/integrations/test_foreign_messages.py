"""Messages that other programs write: good ones are events, all others end in the error queue."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from aspyx_event import (
    Envelope,
    EventListener,
    EventManager,
    EventRegistry,
    current_envelope,
    event,
    event_listener,
)

proton = pytest.importorskip("proton")
from proton import Described, Message, symbol, ulong  # noqa: E402

from tests.integrations.native import send  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aspyx_event import DeadLetter
    from tests.brokers.artemis import ArtemisBroker

pytestmark = pytest.mark.artemis


@dataclass
class Order:
    """What the foreign programs send, or fail to."""

    id: int
    note: str = ""


class Bench:
    """A manager with one listener on an address of its own."""

    def __init__(self, broker: ArtemisBroker) -> None:
        self.broker = broker
        self.name = f"order-{uuid.uuid4().hex[:8]}"
        self.seen: list[tuple[Order, Envelope]] = []
        self.changed = threading.Condition()
        declared = event(self.name, durable=True)(type("Order", (Order,), {}))
        bench = self

        @event_listener(declared, name=f"l-{self.name}")
        class Listener(EventListener[Any]):
            def on(self, event: Any) -> None:
                with bench.changed:
                    envelope = current_envelope()
                    assert envelope is not None
                    bench.seen.append((event, envelope))
                    bench.changed.notify_all()

        self.manager = EventManager(
            f"amqp://{broker.user}:{broker.password}@127.0.0.1:{broker.amqp_port}/?prefix={self.name}",
            registry=EventRegistry().register(Listener),
            max_message_size=4 * 1024 * 1024,
        )

    def send(self, *messages: Message) -> None:
        send(self.broker, self.name, *messages)

    def wait_handled(self, count: int) -> list[tuple[Order, Envelope]]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= count, 15), f"{len(self.seen)} of {count} handled"
        return self.seen

    def wait_dead(self, count: int) -> list[DeadLetter]:
        poll = threading.Event()
        found: list[DeadLetter] = []
        for _ in range(150):
            found = list(self.manager.dead_letters())
            if len(found) >= count:
                break
            poll.wait(0.1)
        assert len(found) == count
        return found

    def wait_counted(self, listener: str) -> None:
        """One dead letter in its health; the letter itself can be seen a moment before it is accepted and counted."""
        poll = threading.Event()
        for _ in range(150):
            if self.manager.health().listeners[listener].dead_lettered:
                break
            poll.wait(0.1)
        assert self.manager.health().listeners[listener].dead_lettered == 1


@pytest.fixture
def bench(artemis: ArtemisBroker) -> Iterator[Bench]:
    made = Bench(artemis.start())
    with made.manager:
        yield made


def data(body: bytes, **properties: Any) -> Message:
    """A message with one Data section."""
    return Message(body=body, inferred=True, **properties)


GOOD = {
    "data": data(b'{"id": 1}', content_type="application/json"),
    "data without content type": data(b'{"id": 1}'),
    "text value, as JMS clients send it": Message(body='{"id": 1}'),
    "binary value": Message(body=b'{"id": 1}'),
    "structured suffix": data(b'{"id": 1}', content_type="application/vnd.orders+json; charset=utf-8"),
    "unknown fields": data(b'{"id": 1, "later": {"version": 2}}'),
    "numbers as text": data(b'{"id": "1"}'),
    "properties of other types": Message(
        body='{"id": 1}', properties={"count": 5, "ok": True, "nothing": None, "price": 1.5}
    ),
}


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_a_plain_json_message_is_a_good_event(bench: Bench, kind: str) -> None:
    """A foreign message of plain JSON, in any body section that holds text, is handled like one of ours."""
    bench.send(GOOD[kind])
    [(handled, _)] = bench.wait_handled(1)
    assert handled.id == 1


def test_a_foreign_message_keeps_its_native_id_and_headers(bench: Bench) -> None:
    """The native message id is the event's id, and scalar properties arrive as strings."""
    bench.send(Message(body='{"id": 1}', id="native-7", properties={"tenant": "é:x", "count": 5, "ok": True}))
    [(_, envelope)] = bench.wait_handled(1)
    assert (envelope.id, envelope.get("tenant"), envelope.get("count")) == ("native-7", "é:x", "5")
    assert envelope.get("ok") == "true"


def test_cloudevents_in_the_other_prefix_are_read(bench: Bench) -> None:
    """CloudEvents attributes with the prefix ``cloudEvents:`` of the AMQP binding are understood."""
    bench.send(Message(body='{"id": 1}', properties={"cloudEvents:id": "ce-1", "cloudEvents:source": "elsewhere"}))
    [(_, envelope)] = bench.wait_handled(1)
    assert (envelope.id, envelope.get("cloudEvents_source")) == ("ce-1", "elsewhere")


POISON: dict[str, tuple[Message, bytes | None]] = {
    "not JSON": (data(b"hello"), b"hello"),
    "wrong shape": (data(b'{"id": "x"}'), b'{"id": "x"}'),
    "an array": (data(b"[1]"), b"[1]"),
    "not UTF-8": (data(b'\xff\xfe{"id"'), b'\xff\xfe{"id"'),
    "empty": (data(b""), b""),
    "5 MB": (data(b'{"id": 1, "note": "' + b"x" * 5_000_000 + b'"}'), None),
    "content type": (data(b'{"id": 1}', content_type="application/xml"), b'{"id": 1}'),
    "deeply nested": (data(b'{"id":' + b"[" * 100_000), None),
    "map": (Message(body={"id": 1}), None),
    "list": (Message(body=[1, 2]), None),
    "int": (Message(body=7), None),
    "null": (Message(body=None), None),
    "described": (Message(body=Described(symbol("x:y"), ulong(3))), None),
    "another known event's name": (data(b"nonsense", subject="x"), b"nonsense"),
}


@pytest.mark.parametrize("kind", sorted(POISON))
def test_poison_ends_in_the_error_queue_and_the_listener_goes_on(bench: Bench, kind: str) -> None:
    """What is no event is dead-lettered after one look, with reason and original bytes; the next event is handled."""
    message, body = POISON[kind]
    message.id = f"poison-{uuid.uuid4()}"
    bench.send(message, data(b'{"id": 2}'))
    handled = bench.wait_handled(1)
    [letter] = bench.wait_dead(1)
    assert [order.id for order, _ in handled] == [2]
    assert (letter.id, letter.reason, letter.attempts) == (message.id, "decode", 1)
    assert letter.listener == f"l-{bench.name}"
    if body is not None:
        assert letter.body == body
    bench.wait_counted(letter.listener)


@pytest.mark.parametrize("attempt", ["-1", "1000000000", "x", "", "٣"])
def test_a_forged_attempt_count_does_no_harm(bench: Bench, attempt: str) -> None:
    """An ``ev_attempt`` that nobody of us wrote neither stops nor multiplies the handling of a good event."""
    bench.send(Message(body='{"id": 1}', properties={"ev_attempt": attempt, "ev_error_queue": "other::queue"}))
    [(handled, _)] = bench.wait_handled(1)
    assert handled.id == 1


def test_a_message_without_any_id_gets_one(bench: Bench) -> None:
    """A poison message that has no id at all gets one on its way to the error queue, by which it can be replayed."""
    bench.send(data(b"hello"))
    [letter] = bench.wait_dead(1)
    assert letter.id
    bench.manager.replay(letter.id)
    bench.wait_handled(0)
    again = bench.wait_dead(1)
    assert again[0].id == letter.id
