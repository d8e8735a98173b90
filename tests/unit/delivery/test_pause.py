"""pause() and resume(): who rests, what becomes of the events, and what health says."""

from __future__ import annotations

import functools
import logging
import threading
from typing import Any

import pytest

from aspyx_event import ConfigurationError, LifecycleError, LocalProvider, Outcome, ProviderState, SendRejected
from aspyx_event.delivery.calls import Call
from aspyx_event.delivery.inbox import Inbox
from tests.unit.delivery.events import Placed, Shipped, listening
from tests.unit.fake_provider import FakeDelivery, FakeProvider, refused
from tests.unit.support import DEADLINE, Collected, Gate, managed


def delivery(key: str | None = None) -> FakeDelivery:
    return FakeDelivery(FakeProvider(), b"", {} if key is None else {"cloudEvents_partitionkey": key})


def test_a_paused_listener_gets_nothing() -> None:
    """What is sent during a pause waits in the queue, and is handled in order after resume()."""
    seen = Collected[int]()
    with managed(listening(lambda e: seen(e.number), concurrency=1)) as manager:
        manager.pause("listener")
        for number in range(5):
            manager.send_event(Placed(number))
        health = manager.health()
        assert (health.status, health.live, health.ready) == ("degraded", True, True)
        listener = health.listeners["listener"]
        assert (listener.state, listener.detail, listener.in_flight) == ("paused", "by pause()", 0)
        assert str(manager.describe()).splitlines()[-1] == "listener is paused: by pause()"
        assert seen.items == []
        manager.resume("listener")
        assert seen.wait(5) == [0, 1, 2, 3, 4]
        assert manager.health().listeners["listener"].detail is None


def test_running_ones_finish_and_waiting_ones_go_to_others() -> None:
    """At pause() the running delivery finishes, and what waits behind it is another manager's, in order."""
    provider, gate, seen = LocalProvider("one"), Gate(), Collected[tuple[str, int]]()

    def slow(e: Placed) -> None:
        if e.number == 0:
            gate.hold()
        seen(("first", e.number))

    fast = listening(lambda e: seen(("second", e.number)), concurrency=1)
    with managed(listening(slow, concurrency=1), provider=provider) as first:
        for number in range(6):
            first.send_event(Placed(number), key="k")
        gate.wait_reached()
        first.pause()
        with managed(fast, provider=provider):
            assert seen.wait(5) == [("second", number) for number in range(1, 6)]
            gate.open()
            assert seen.wait(6)[-1] == ("first", 0)
        first.resume()
        first.send_event(Placed(7), key="k")
        assert seen.wait(7)[-1] == ("first", 7), "the lane of the key is free again"


def test_names() -> None:
    """Without names all listeners rest; an unknown name is refused by a sentence with the known ones."""
    with managed(listening(lambda e: None), listening(lambda e: None, "other", Shipped)) as manager:
        manager.pause("other")
        assert [health.state for health in manager.health().listeners.values()] == ["running", "paused"]
        with pytest.raises(ConfigurationError, match=r"no listener 'nobody' .* \['listener', 'other'\]"):
            manager.pause("listener", "nobody")
        with pytest.raises(ConfigurationError, match="no listener 'nobody'"):
            manager.resume("nobody")
        assert manager.health().listeners["listener"].state == "running", "nothing of a refused call is done"
        manager.pause()
        assert {health.state for health in manager.health().listeners.values()} == {"paused"}
        manager.resume()
        assert manager.health().status == "ok"


def test_only_while_it_runs() -> None:
    """Before start, after stop and with listen=False there is nothing to pause; a new start begins without pauses."""
    seen = Collected[int]()
    with managed(listening(lambda e: seen(e.number)), start=False) as manager:
        with pytest.raises(LifecycleError, match="call start"):
            manager.pause()
        manager.start(listen=False)
        with pytest.raises(LifecycleError, match="listen=False"):
            manager.resume()
        manager.stop()
        manager.start()
        manager.pause()
        manager.stop()
        with pytest.raises(LifecycleError, match="call start"):
            manager.resume()
        manager.start()
        manager.send_event(Placed(1))
        assert seen.wait() == [1]


def test_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    """Each change has one INFO line with the names; pausing what is paused has none."""
    with caplog.at_level(logging.INFO), managed(listening(lambda e: None), listening(print, "b", Shipped)) as manager:
        for _ in range(2):
            manager.pause("b")
        manager.pause()
        for _ in range(2):
            manager.resume()
    lines = [record.getMessage() for record in caplog.records if record.getMessage()[:6] in ("paused", "resume")]
    assert lines == ["paused: b", "paused: listener", "resumed: listener, b"]


def test_from_many_threads() -> None:
    """However threads pause and resume: after the last resume everything is handled, once."""
    seen, done = Collected[int](), threading.Barrier(5)
    with managed(listening(lambda e: seen(e.number))) as manager:

        def switch() -> None:
            for _ in range(50):
                manager.pause()
                manager.resume()
            done.wait(DEADLINE)

        threads = [threading.Thread(target=switch, name=f"switch-{number}") for number in range(4)]
        for thread in threads:
            thread.start()
        for number in range(100):
            manager.send_event(Placed(number))
        done.wait(DEADLINE)
        for thread in threads:
            thread.join(DEADLINE)
        assert sorted(seen.wait(100)) == list(range(100))


def test_a_listener_pauses_itself() -> None:
    """A listener may pause itself: its own delivery is settled, and nothing else starts."""
    seen = Collected[int]()

    def on(e: Placed) -> None:
        manager.pause("listener")
        seen(e.number)

    outcomes = Collected[Outcome]()
    with managed(listening(on, concurrency=1), observers=[outcomes]) as manager:
        for number in range(3):
            manager.send_event(Placed(number))
        assert outcomes.wait()[0].result.value == "handled"
        manager.resume()
        outcomes.wait_until(lambda items: sum(item.result.value == "handled" for item in items) == 2)
        assert seen.items[:2] == [0, 1]


def test_details() -> None:
    """health() says why: no connection, the broker's reason, the copy that was not confirmed, the last error."""
    provider, outcomes = FakeProvider(), Collected[Outcome]()

    def on(e: Placed) -> None:
        raise ValueError(f"number {e.number}")

    def detail() -> Any:
        health = manager.health().listeners["listener"]
        return health.state, health.detail

    with managed(listening(on), provider=provider, observers=[outcomes]) as manager:
        assert detail() == ("running", None)
        for number in range(10):
            provider.deliver("listener", b'{"number": %d}' % number)
            outcomes.wait(number + 1)
        assert detail() == ("throttled", "ValueError: number 9")
        provider.on_state(ProviderState(True, SendRejected("deleted"), "Placed::listener"))
        assert detail() == ("detached", "deleted")
        manager.pause()
        assert detail() == ("detached", "deleted; paused by pause()")
        provider.on_state(ProviderState(True, None, "Placed::listener"))
        provider.lose_connection()
        assert detail() == ("detached", "no connection; paused by pause()")
    assert detail() == ("stopped", None)


def test_what_cannot_be_settled_is_given_back() -> None:
    """A delivery whose copy is not confirmed, and that waits to be tried again, goes back at pause()."""
    provider, outcomes = FakeProvider(), Collected[Outcome]()
    provider.on_forward = lambda: refused(SendRejected("full"))

    def on(_e: Placed) -> None:
        raise ValueError

    with managed(listening(on), provider=provider, observers=[outcomes]) as manager:
        kept = provider.deliver("listener")
        kept.forwards.wait()
        while not manager.health().listeners["listener"].detail:
            pass
        detail = manager.health().listeners["listener"].detail
        assert detail is not None
        assert "for the queue error was not confirmed (full)" in detail
        manager.pause()
        assert kept.settled.wait() == ["released"]
        late = provider.deliver("listener")
        assert late.settled.items == ["released"], "what was still on its way goes back as well"
        assert provider.subscriptions["listener"].state == "paused"
        manager.resume()
        assert provider.subscriptions["listener"].state == "open"
        assert manager.health().listeners["listener"].state == "running"


@pytest.mark.parametrize("to_head", [True, False])
def test_the_order_of_what_is_given_back(to_head: bool) -> None:
    """What waits is released last first where each goes to the head of the queue, and oldest first elsewhere."""
    inbox, order = Inbox(1), Collected[str]()
    inbox.newest_first = to_head
    for name in ("a", "b", "c"):
        waiting: Any = delivery()
        waiting.release = functools.partial(order, name)
        inbox.put(waiting)
    assert inbox.hold() == 3
    assert order.items == (["c", "b", "a"] if to_head else ["a", "b", "c"])


def test_an_inbox_that_is_held() -> None:
    """A held inbox releases what waits, and what cannot be settled meanwhile; the lanes of their keys are free."""
    inbox = Inbox(1)
    inbox.open()
    first, second, third = delivery("k"), delivery("k"), delivery("k")
    assert inbox.put(first)
    call = Call()
    running, _ = inbox.take(call)
    assert running is not None
    inbox.put(second)
    assert inbox.hold() == 1
    assert second.settled.items == ["released"]
    assert inbox.keep(running, "full") == (0.0, False)
    assert first.settled.items == ["released"]
    assert not inbox.wants_worker()
    assert inbox.in_flight == 0
    assert inbox.go_on()
    assert not inbox.go_on()
    inbox.worker_gone()
    assert inbox.put(third)
    assert inbox.take(Call())[0] is not None
