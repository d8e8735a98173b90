"""LocalProvider and its bus."""

from __future__ import annotations

import gc
import queue
import random
import threading
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event import (
    ConfigurationError,
    Delivery,
    Envelope,
    EventDescriptor,
    EventListenerDescriptor,
    EventManager,
    LifecycleError,
    LocalProvider,
    ProviderUnavailable,
)
from aspyx_event.providers.local import bus as bus_module
from aspyx_event.providers.local import provider as provider_module
from aspyx_event.providers.local.bus import Bus
from aspyx_event.providers.local.queues import Held, Message, Queue
from tests.unit.support import DEADLINE, Collected, often_switched

EVENT = EventDescriptor("Placed", int, durable=True)
FLEETING = EventDescriptor("Passed", int)


def listener(name: str = "billing", event: EventDescriptor = EVENT, **options: Any) -> EventListenerDescriptor:
    return EventListenerDescriptor(name, event, None, **options)


@pytest.fixture
def provider() -> Any:
    provider = LocalProvider(server_name="web")
    provider.start(lambda state: None, timeout=1)
    yield provider
    provider.stop(timeout=1)


def send(provider: LocalProvider, body: bytes, event: EventDescriptor = EVENT, **envelope: Any) -> None:
    confirmation = provider.send(Envelope(body, {"cloudEvents_id": body.decode()}, **envelope), event)
    assert confirmation.result(0) is None


def test_credit(provider: LocalProvider) -> None:
    """At most ``credit`` deliveries are unsettled; settling one brings the next, in order."""
    got = Collected[Delivery]()
    subscription = provider.subscribe(listener(), got, credit=2, timeout=1)
    for number in range(5):
        send(provider, b"%d" % number)
    assert len(got.items) == 2
    got.items[0].accept()
    assert [delivery.read().body for delivery in got.items] == [b"0", b"1", b"2"]
    subscription.set_credit(10)
    assert len(got.items) == 5
    for delivery in got.items:
        delivery.accept()
    assert provider.bus.depth("Placed::billing") == 0


def test_settling_twice(provider: LocalProvider) -> None:
    """The first settlement counts; later ones do nothing."""
    got = Collected[Delivery]()
    provider.subscribe(listener(), got, credit=1, timeout=1)
    send(provider, b"0")
    first = got.items[0]
    assert first.alive
    first.release()
    assert not first.alive
    assert len(got.items) == 2  # it came back
    first.accept()
    first.release()
    assert len(got.items) == 2
    got.items[1].accept()
    assert provider.bus.depth("Placed::billing") == 0


def test_release_goes_to_the_head(provider: LocalProvider) -> None:
    """What is released comes again first, unchanged."""
    got = Collected[Delivery]()
    subscription = provider.subscribe(listener(), got, credit=1, timeout=1)
    send(provider, b"0")
    send(provider, b"1")
    subscription.pause()
    got.items[0].release()
    subscription.resume()
    assert [delivery.read().body for delivery in got.items] == [b"0", b"0"]
    assert got.items[1].read().attempt == 1


def test_pause_and_close(provider: LocalProvider) -> None:
    """A paused or closed subscription gets nothing; what it holds can still be settled."""
    got = Collected[Delivery]()
    subscription = provider.subscribe(listener(), got, credit=5, timeout=1)
    send(provider, b"0")
    subscription.pause()
    send(provider, b"1")
    assert len(got.items) == 1
    subscription.close()
    send(provider, b"2")
    assert len(got.items) == 1
    got.items[0].accept()
    assert provider.bus.depth("Placed::billing") == 2
    subscription.close()


def test_close_waits_for_the_callback(provider: LocalProvider) -> None:
    """When close returns, the callback is not running."""
    inside, go, done = threading.Event(), threading.Event(), list[str]()

    def receive(_delivery: Delivery) -> None:
        inside.set()
        go.wait(DEADLINE)
        done.append("received")

    subscription = provider.subscribe(listener(), receive, credit=1, timeout=1)
    sender = threading.Thread(target=send, args=(provider, b"0"))
    sender.start()
    assert inside.wait(DEADLINE)
    threading.Timer(0.05, go.set).start()
    subscription.close(DEADLINE)
    assert done == ["received"]
    sender.join(DEADLINE)


def test_competing_consumers_take_turns(provider: LocalProvider) -> None:
    """Consumers of one queue take turns."""
    one, two = Collected[Delivery](), Collected[Delivery]()
    provider.subscribe(listener(), one, credit=10, timeout=1)
    provider.subscribe(listener(), two, credit=10, timeout=1)
    for number in range(6):
        send(provider, b"%d" % number)
    assert (len(one.items), len(two.items)) == (3, 3)


def test_delay(provider: LocalProvider) -> None:
    """A delayed event, and a delayed copy, come after their delay."""
    got = Collected[Delivery]()
    provider.subscribe(listener(), got, credit=10, timeout=1)
    send(provider, b"late", delay=0.05)
    send(provider, b"now")
    assert [delivery.read().body for delivery in got.items] == [b"now"]
    got.items[0].forward("Placed::billing", {"ev_attempt": "2"}, delay=0.1)
    bodies = [(delivery.read().body, delivery.read().attempt) for delivery in got.wait(3)]
    assert bodies == [(b"now", 1), (b"late", 1), (b"now", 2)]


def test_delays_survive_a_restart(provider: LocalProvider) -> None:
    """What is delayed while the provider is stopped comes after its next start."""
    provider.declare(listener(), timeout=1)
    send(provider, b"late", delay=0.05)
    provider.stop(timeout=1)
    assert provider.bus.depth("Placed::billing") == 0
    provider.start(lambda state: None, timeout=1)
    got = Collected[Delivery]()
    provider.subscribe(listener(), got, credit=1, timeout=1)
    assert got.wait()[0].read().body == b"late"


def test_forward_to_the_error_queue(provider: LocalProvider) -> None:
    """A copy has the original's bytes and content type, exactly the headers given, and expires nowhere."""
    got = Collected[Delivery]()
    provider.subscribe(listener(), got, credit=1, timeout=1)
    confirmation = provider.send(Envelope(b"\xff", {"a": "b"}, content_type="x/y", ttl=60), EVENT)
    confirmation.result(0)
    assert got.items[0].read().expires_at is not None
    got.items[0].forward("error", {"c": "d"}).result(0)
    [copy] = provider.browse("error", timeout=1)
    assert (copy.body, copy.content_type, copy.wire_headers, copy.expires_at) == (b"\xff", "x/y", {"c": "d"}, None)


def test_take(provider: LocalProvider) -> None:
    """take removes one message by its id, and gives it back when it is released."""
    got = Collected[Delivery]()
    provider.subscribe(listener(), got, credit=5, timeout=1)
    for number in range(3):
        send(provider, b"%d" % number)
        got.items[number].forward("error", got.items[number].read().wire_headers)
    taken = provider.take("error", "1", timeout=1)
    assert taken is not None
    assert [envelope.id for envelope in provider.browse("error", timeout=1)] == ["0", "2"]
    assert provider.take("error", "1", timeout=1) is None
    assert provider.take("nowhere", "1", timeout=1) is None
    taken.release()
    assert len(list(provider.browse("error", timeout=1))) == 3


def test_a_queue_of_one_name_for_two_events(provider: LocalProvider) -> None:
    """A listener's queue name belongs to one event, as on a broker."""
    provider.declare(listener(), timeout=1)
    with pytest.raises(
        ConfigurationError, match="queue 'billing' for event 'Passed' already belongs to event 'Placed'"
    ):
        provider.declare(listener(event=FLEETING), timeout=1)


def test_nobody_listens(provider: LocalProvider) -> None:
    """An event without a queue anywhere is confirmed, and gone."""
    send(provider, b"0")
    assert provider.bus.queues == ()


def test_durable_events_wait(provider: LocalProvider) -> None:
    """A declared durable queue keeps events while nobody listens, and while the provider is stopped."""
    provider.declare(listener(), timeout=1)
    send(provider, b"0")
    provider.stop(timeout=1)
    provider.start(lambda state: None, timeout=1)
    got = Collected[Delivery]()
    provider.subscribe(listener(), got, credit=1, timeout=1)
    assert got.wait()[0].read().body == b"0"


@pytest.mark.parametrize("per_process", [False, True])
def test_reaping(provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, per_process: bool) -> None:
    """A queue that is not durable, and one of a process, disappear some time after their consumer; not before."""
    monkeypatch.setattr(provider_module, "AUTO_DELETE_AFTER", 0.02)
    monkeypatch.setattr(provider_module, "PER_PROCESS_DELETE_AFTER", 0.02)
    descriptor = listener(event=EVENT if per_process else FLEETING, per_process=per_process)
    gone = threading.Event()
    reap = provider.bus._reap

    def reaped(queue: Queue) -> None:
        reap(queue)
        gone.set()

    monkeypatch.setattr(provider.bus, "_reap", reaped)
    subscription = provider.subscribe(descriptor, Collected[Delivery](), credit=1, timeout=1)
    assert len(provider.bus.queues) == 1
    subscription.close()
    again = provider.subscribe(descriptor, Collected[Delivery](), credit=1, timeout=1)
    again.close()
    assert gone.wait(DEADLINE)
    assert provider.bus.queues == ()


def test_before_start() -> None:
    """Before start, sending is unavailable and subscribing refused."""
    provider = LocalProvider()
    with pytest.raises(ProviderUnavailable, match="not started") as caught:
        provider.send(Envelope(b"", {"cloudEvents_id": "x"}), EVENT).result(0)
    assert caught.value.event_id == "x"
    with pytest.raises(LifecycleError):
        provider.subscribe(listener(), Collected[Delivery](), credit=1, timeout=1)
    provider.stop(timeout=1)
    assert not provider.connected


def test_server_names_differ() -> None:
    """Every instance has a server name of its own."""
    assert LocalProvider().server_name != LocalProvider().server_name


def test_repr() -> None:
    """The repr is state."""
    provider = LocalProvider("repr-test", server_name="web")
    assert repr(provider) == "<LocalProvider 'repr-test' stopped server=web>"


def test_named_buses_live_as_long_as_the_process() -> None:
    """Events on a named bus wait also when no provider holds it."""

    def declare_and_send() -> None:
        provider = LocalProvider("kept")
        provider.start(lambda state: None, timeout=1)
        provider.declare(listener(), timeout=1)
        send(provider, b"0")
        provider.stop(timeout=1)

    declare_and_send()
    gc.collect()
    assert LocalProvider("kept").bus.depth("Placed::billing") == 1
    del bus_module._shared["kept"]


def message(body: bytes) -> Message:
    return Message(body, {}, None, True, native_id="n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("bug")])
def test_an_interrupted_sender(error: BaseException) -> None:
    """A sender that is interrupted while it hands over does not leave the bus standing still."""
    bus, seen = Bus(), Collected[bytes]()
    bus.declare("Placed::billing")
    answers: list[BaseException] = [error]

    def receive(held: Held) -> None:
        if answers:
            raise answers.pop()
        seen(held.message.body)

    bus.consume("Placed::billing", receive, credit=10)
    with pytest.raises(type(error)):
        bus.put("Placed::billing", message(b"0"))
    bus.put("Placed::billing", message(b"1"))
    assert sorted(seen.wait(2)) == [b"0", b"1"]


@given(st.lists(st.tuples(st.sampled_from(["put", "accept", "release", "credit"]), st.integers(0, 9)), max_size=60))
def test_nothing_is_lost_or_doubled(steps: list[tuple[str, int]]) -> None:
    """However messages are put, accepted and released: each is waiting, held, or accepted, and exactly once."""
    bus, held, accepted = Bus(), list[Held](), list[bytes]()
    bus.declare("q::q")
    consumer = bus.consume("q::q", held.append, credit=2)
    number = 0
    for step, choice in steps:
        if step == "put":
            bus.put("q::q", message(b"%d" % number))
            number += 1
        elif step == "credit":
            bus.change(consumer, credit=choice)
        elif held:
            taken = held.pop(choice % len(held))
            if step == "accept":
                accepted.append(taken.message.body)
            bus.settle(taken, back=step == "release")
            bus.settle(taken, back=True)  # changes nothing
    everywhere = accepted + [taken.message.body for taken in held] + [waiting.body for waiting in bus.browse("q::q")]
    assert sorted(everywhere) == sorted(b"%d" % n for n in range(number))
    assert len(consumer.held) == len(held)
    waiting_in_order = [waiting.number for waiting in bus.browse("q::q")]
    assert waiting_in_order == sorted(waiting_in_order)


class Traffic:
    """Threads that publish, and threads that accept or release what they are handed, at a time."""

    def __init__(self, credit: int, each: int) -> None:
        self.bus, self.each = Bus(), each
        self.accepted = Collected[bytes]()
        self._chance = random.Random(credit)
        self._handed: queue.SimpleQueue[Optional[Held]] = queue.SimpleQueue()
        for name in ("Placed::one", "Placed::two"):
            self.bus.declare(name)
            self.bus.consume(name, self._handed.put, credit)

    def publish(self, name: str) -> None:
        for number in range(self.each):
            self.bus.publish("Placed", message(b"%s %d" % (name.encode(), number)))

    def settle(self) -> None:
        while True:
            held = self._handed.get(timeout=DEADLINE)
            if held is None:
                return
            back = self._chance.random() < 0.1
            self.bus.settle(held, back=back)
            if not back:
                self.accepted(held.message.body)

    def run(self) -> None:
        publishing = [threading.Thread(target=self.publish, args=(name,)) for name in "abc"]
        settling = [threading.Thread(target=self.settle) for _ in range(3)]
        for thread in (*publishing, *settling):
            thread.start()
        try:
            self.accepted.wait(3 * 2 * self.each)
        finally:
            for _ in settling:
                self._handed.put(None)
            for thread in (*publishing, *settling):
                thread.join(DEADLINE)


@pytest.mark.parametrize("credit", [1, 3, 64])
def test_nobody_is_forgotten(credit: int) -> None:
    """However threads that publish and settle come between each other, each message is handed over until it is
    accepted, once for each queue."""
    with often_switched():
        traffic = Traffic(credit, each=400)
        traffic.run()
    expected = [b"%s %d" % (name.encode(), number) for name in "abc" for number in range(400)]
    assert sorted(traffic.accepted.items) == sorted(2 * expected)
    assert [traffic.bus.depth(name) for name in traffic.bus.queues] == [0, 0]


def test_room_that_is_made_while_the_bus_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A settlement between the look for a consumer and the note that there is none is not missed."""
    bus, handed = Bus(), list[Held]()
    place = bus.declare("q::q")
    consumer = bus.consume("q::q", handed.append, credit=1)
    bus.put("q::q", message(b"0"))
    bus.put("q::q", message(b"1"))
    look = place.next_consumer

    def settled_after_the_look() -> Any:
        found = look()
        if len(handed) == 1 and consumer.held.pop(handed[0], bus) is None:
            place.full = False  # as settle() does in another thread; it looks at ``full`` too late
        return found

    monkeypatch.setattr(place, "next_consumer", settled_after_the_look)
    bus.change(consumer, credit=1)
    assert [held.message.body for held in handed] == [b"0", b"1"]


@pytest.mark.parametrize("credit", [1, 7])
def test_order_of_each_sender(credit: int) -> None:
    """A consumer gets what one thread published in that order, whoever else publishes and settles meanwhile."""
    bus, handed = Bus(), Collected[Held]()
    settled: queue.SimpleQueue[Optional[Held]] = queue.SimpleQueue()

    def receive(held: Held) -> None:
        handed(held)
        settled.put(held)

    def settle() -> None:
        while (held := settled.get(timeout=DEADLINE)) is not None:
            bus.settle(held, back=False)

    def publish(name: bytes) -> None:
        for number in range(500):
            bus.publish("Placed", message(b"%s%d" % (name, number)))

    bus.declare("Placed::billing")
    bus.consume("Placed::billing", receive, credit)
    settler = threading.Thread(target=settle)
    senders = [threading.Thread(target=publish, args=(name,)) for name in (b"a", b"b")]
    with often_switched():
        try:
            for thread in (settler, *senders):
                thread.start()
            handed.wait(1000)
        finally:
            settled.put(None)
            for thread in (settler, *senders):
                thread.join(DEADLINE)
    bodies = [held.message.body for held in handed.items]
    for name in (b"a", b"b"):
        assert [body for body in bodies if body.startswith(name)] == [b"%s%d" % (name, n) for n in range(500)]


def test_what_an_interruption_left(provider: LocalProvider) -> None:
    """Where a sender is interrupted at one queue of an event, the other queue's copy is handed over by the next who
    sends anything."""
    other = EventDescriptor("Other", int, durable=True)
    seen, answers = Collected[Delivery](), [KeyboardInterrupt()]

    def interrupted(_delivery: Delivery) -> None:
        if answers:
            raise answers.pop()

    provider.subscribe(listener("first"), interrupted, credit=5, timeout=1)
    provider.subscribe(listener("second"), seen, credit=5, timeout=1)
    with pytest.raises(KeyboardInterrupt):
        send(provider, b"0")
    send(provider, b"1", event=other)
    assert [delivery.read().body for delivery in seen.wait(1)] == [b"0"]


def test_confirmations_do_not_share_what_becomes_of_them(provider: LocalProvider) -> None:
    """A sender that gives up its confirmation, or listens to it, leaves those of others as they are."""
    heard = Collected[Any]()
    first = provider.send(Envelope(b"1", {"cloudEvents_id": "1"}), EVENT)
    first.add_done_callback(heard)
    assert not first.cancel()
    second = provider.send(Envelope(b"2", {"cloudEvents_id": "2"}), EVENT)
    assert second.result(0) is None
    assert heard.items == [first]


def test_one_manager_stops_the_other_goes_on() -> None:
    """Two managers may share one instance; the bus's thread ends with the last of them."""
    provider = LocalProvider()
    one, two = EventManager(provider), EventManager(provider)
    one.start()
    two.start()
    one.stop()
    assert provider.connected
    two.stop()
    assert not provider.connected
