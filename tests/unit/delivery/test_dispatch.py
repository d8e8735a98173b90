"""The dispatcher by its effects: who handles what, on which thread, how many at once."""

from __future__ import annotations

import threading
from typing import Any, Optional

import pytest

from aspyx_event import EventListener, EventManager, LocalProvider, Outcome, current_envelope, event_listener
from aspyx_event.delivery import worker as worker_module
from tests.unit.delivery.events import Placed, Shipped, listening
from tests.unit.fake_provider import FakeProvider
from tests.unit.support import DEADLINE, Collected, Gate, managed


def test_arrives_once_at_each_listener() -> None:
    """Every listener of an event gets it once; listeners of others get nothing."""
    seen = Collected[Any]()
    one = listening(lambda e: seen(("one", e)), "one")
    two = listening(lambda e: seen(("two", e)), "two")
    other = listening(lambda e: seen(("other", e)), "other", Shipped)
    with managed(one, two, other) as manager:
        manager.send_event(Placed(1))
        assert sorted(map(str, seen.wait(2))) == ["('one', Placed(number=1))", "('two', Placed(number=1))"]
    assert len(seen.items) == 2


def test_class_with_state() -> None:
    """A listener class is instantiated once, and its ``on`` is bound to that instance."""

    @event_listener(Placed)
    class Counting(EventListener[Placed]):
        def __init__(self) -> None:
            self.seen = Collected[int]()

        def on(self, event: Placed) -> None:
            self.seen(event.number)

    with managed(Counting) as manager:
        for number in range(3):
            manager.send_event(Placed(number))
        assert sorted(manager.registry.instance(Counting).seen.wait(3)) == [0, 1, 2]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_threads(asynchronous: bool) -> None:
    """Sync listeners run on worker threads, async ones on one loop thread, none on the sender's or provider's."""
    names = Collected[str]()

    async def on_async(_e: Placed) -> None:
        names(threading.current_thread().name)

    with managed(listening(on_async if asynchronous else lambda e: names(threading.current_thread().name))) as manager:
        for _ in range(5):
            manager.send_event(Placed())
        found = set(names.wait(5))
    assert found == {"aspyx-loop"} if asynchronous else all(name.startswith("aspyx-worker") for name in found)


def test_an_observer_that_blocks_holds_up_its_own_worker_alone() -> None:
    """While one worker is kept by an observer, the next delivery has another one."""
    seen, gate = Collected[int](), Gate()

    def observe(outcome: Outcome) -> None:
        if outcome.event_id == "first":
            gate.hold()

    with managed(listening(lambda e: seen(e.number)), workers=2, observers=[observe]) as manager:
        manager.send_event(Placed(1), id="first")
        gate.wait_reached()
        manager.send_event(Placed(2))
        assert seen.wait(2) == [1, 2]
        gate.open()


def test_a_backlog_leaves_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener with a backlog gives up the only worker after its turn when another listener has something to do."""
    monkeypatch.setattr(worker_module, "SLICE", 0.0)
    seen, gate = Collected[str](), Gate()

    def busy(e: Placed) -> None:
        if e.number == 0:
            gate.hold()
        seen("busy")

    others = listening(lambda e: seen("other"), "other", Shipped)
    with managed(listening(busy, "busy", prefetch=200), others, workers=1) as manager:
        manager.send_event(Placed(0))
        gate.wait_reached()
        manager.send_events([Placed(number) for number in range(1, 101)])
        manager.send_event(Shipped())
        gate.open()
        assert seen.wait(102).index("other") <= worker_module.TURN


@pytest.mark.parametrize("concurrency", [1, 2])
def test_concurrency_bound(concurrency: int) -> None:
    """At most ``concurrency`` events of a listener are handled at once, and that many are."""
    lock, running, peaks = threading.Lock(), [0], Collected[int]()
    full = threading.Barrier(concurrency, timeout=DEADLINE)

    def on(_e: Placed) -> None:
        with lock:
            running[0] += 1
            peaks(running[0])
        full.wait()
        with lock:
            running[0] -= 1

    with managed(listening(on, concurrency=concurrency), workers=4) as manager:
        for _ in range(8):
            manager.send_event(Placed())
        assert max(peaks.wait(8)) == concurrency


@pytest.mark.parametrize("concurrency", [None, 1])
def test_a_slow_listener_leaves_workers_for_others(concurrency: Optional[int]) -> None:
    """A listener does not take all workers from the others, with a bound or without."""
    gate, seen = Gate(), Collected[Any]()
    slow = listening(lambda e: gate.hold(), "slow", concurrency=concurrency)
    with managed(slow, listening(seen, "quick", Shipped), workers=3) as manager:
        for _ in range(20):
            manager.send_event(Placed())
        gate.wait_reached()
        for number in range(20):
            manager.send_event(Shipped(number))
        assert len(seen.wait(20)) == 20
        gate.open()


def test_two_managers_compete() -> None:
    """Two managers on one bus share the events of a listener; each event is handled once."""
    provider, seen = LocalProvider(), Collected[Any]()
    with (
        managed(listening(lambda e: seen(("a", e.number))), provider=provider) as one,
        managed(listening(lambda e: seen(("b", e.number))), provider=provider),
    ):
        for number in range(50):
            one.send_event(Placed(number))
        items = seen.wait(50)
    assert sorted(number for _, number in items) == list(range(50))
    assert {name for name, _ in items} == {"a", "b"}


def test_per_process_reaches_all() -> None:
    """A per_process listener gets every event in every manager."""
    seen = Collected[Any]()
    with (
        managed(listening(lambda e: seen("a"), per_process=True), provider="local://per-process") as one,
        managed(listening(lambda e: seen("b"), per_process=True), provider="local://per-process"),
    ):
        one.send_event(Placed())
        assert sorted(seen.wait(2)) == ["a", "b"]


def test_causation_and_correlation() -> None:
    """An event sent in a listener names its cause, and the correlation of the first one in the chain."""
    seen = Collected[Any]()

    def forward(e: Placed) -> None:
        seen(current_envelope())
        manager.send_event(Shipped(e.number))

    with managed(listening(forward), listening(lambda e: seen(current_envelope()), "next", Shipped)) as manager:
        manager.send_event(Placed(1), id="first")
        first, second = seen.wait(2)
    assert first.id == "first"
    assert first.get("cloudEvents_causationid") is None
    assert second.get("cloudEvents_causationid") == "first"
    assert second.get("cloudEvents_correlationid") == "first"
    assert second.get("cloudEvents_source") == manager.provider.server_name
    assert second.get("cloudEvents_type") == "Shipped"
    assert second.get("cloudEvents_specversion") == "1.0"
    assert second.get("cloudEvents_time").endswith("Z")


def test_correlation_is_kept() -> None:
    """A correlation, and a trace, that came with the cause go on."""
    provider, sent = FakeProvider(), Collected[Any]()

    async def forward(e: Placed) -> None:
        await manager.send_event_async(Shipped())

    with managed(listening(forward), provider=provider) as manager:
        headers = {"cloudEvents_correlationid": "chain", "cloudEvents_traceparent": "00-1-2-03"}
        provider.deliver("listener", headers=headers)
        sent(provider.sent.wait()[0][0])
    assert sent.items[0].get("cloudEvents_correlationid") == "chain"
    assert sent.items[0].get("cloudEvents_traceparent") == "00-1-2-03"


def test_a_cause_without_id() -> None:
    """A cause that has no id leaves no empty attributes behind."""
    provider = FakeProvider()
    with managed(listening(lambda e: manager.send_event(Shipped())), provider=provider) as manager:
        provider.deliver("listener", headers={"cloudEvents_id": ""})
        envelope = provider.sent.wait()[0][0]
    assert envelope.get("cloudEvents_causationid") != ""
    assert envelope.get("cloudEvents_correlationid") != ""


def test_foreign_message() -> None:
    """Plain JSON without our headers is a good event; its id is the native one."""
    provider, seen = FakeProvider(), Collected[Any]()
    with managed(listening(lambda e: seen((e, current_envelope().id))), provider=provider):  # type: ignore[union-attr]
        delivery = provider.deliver(
            "listener",
            b'{"number": 5, "more": 1}',
            headers={"cloudEvents_id": ""},
            native_id="java-1",
            content_type=None,
        )
        assert seen.wait() == [(Placed(5), "java-1")]
        assert delivery.settled.wait() == ["accepted"]


def test_observers() -> None:
    """Observers get one outcome for each settled delivery; one that raises disturbs nobody."""

    def broken(outcome: Outcome) -> None:
        raise RuntimeError("observer")

    outcomes = Collected[Outcome]()
    with managed(listening(lambda e: None), observers=[broken, outcomes]) as manager:
        manager.send_event(Placed(), id="x")
        outcome = outcomes.wait()[0]
    assert (outcome.listener, outcome.event_id, outcome.result.value) == ("listener", "x", "handled")
    assert (outcome.attempt, outcome.failures, outcome.error) == (1, 0, None)
    assert outcome.seconds >= 0


def test_dead_deliveries_are_not_handled() -> None:
    """A delivery whose connection broke while it waited is not handled: the broker gives it out again."""
    provider, gate, seen, outcomes = FakeProvider(), Gate(), Collected[int](), Collected[Outcome]()

    def on(e: Placed) -> None:
        seen(e.number)
        if e.number == 0:
            gate.hold()

    with managed(listening(on), provider=provider, workers=1, observers=[outcomes]):
        provider.deliver("listener", b'{"number": 0}')
        gate.wait_reached()
        waiting = provider.deliver("listener", b'{"number": 1}')
        provider.deliver("listener", b'{"number": 2}')
        waiting.lost = True
        gate.open()
        results = [outcome.result.value for outcome in outcomes.wait(3)]
    assert seen.items == [0, 2]
    assert results == ["handled", "lost", "handled"]


def test_credit_adapts() -> None:
    """The credit follows the measured rate between twice the concurrency and 512; a prefetch fixes it."""
    provider = FakeProvider()
    quick = listening(lambda e: None, "quick")
    fixed = listening(lambda e: None, "fixed", Shipped, prefetch=7)
    with managed(quick, fixed, provider=provider, workers=3):
        for _ in range(100):
            provider.deliver("quick")
            provider.deliver("fixed")
        credits = provider.subscriptions["quick"].credits.wait(2)
        assert credits[0] == 4
        assert all(4 <= credit <= 512 for credit in credits)
        assert provider.subscriptions["fixed"].credits.items == [7]


def test_many_events_from_many_threads() -> None:
    """Events of several senders all arrive, once."""
    seen = Collected[int]()

    def send(manager: EventManager, base: int) -> None:
        for number in range(50):
            manager.send_event(Placed(base + number))

    with managed(listening(lambda e: seen(e.number)), workers=4) as manager:
        threads = [threading.Thread(target=send, args=(manager, base)) for base in range(0, 400, 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert sorted(seen.wait(400)) == list(range(400))
