"""EventHarness: an application's listeners in a test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from aspyx_event import (
    ConfigurationError,
    EnvelopePipeline,
    EventListener,
    EventRegistry,
    Reject,
    RetryPolicy,
    current_envelope,
    envelope_pipeline,
    event,
    event_listener,
)
from aspyx_event.testing import EventHarness, FailedEvent, HarnessError, HarnessFailure, ManualClock
from tests.unit.support import DEADLINE, Gate

DAY = 86_400.0


@event(durable=True)
@dataclass
class Placed:
    id: int
    total: float = 0.0


@event()
@dataclass
class Receipt:
    order: int


def nothing(total: float) -> None:
    """A bank that takes everything."""


@event_listener(Placed)
class Billing(EventListener[Placed]):
    def __init__(self, charge: Callable[[float], None] = nothing) -> None:
        self.charge = charge

    def on(self, event: Placed) -> None:
        self.charge(event.total)


def failing(times: int, error: type[Exception] = ConnectionError) -> Callable[[float], None]:
    """A bank that answers after some calls."""
    left = [times]

    def charge(total: float) -> None:
        if left[0]:
            left[0] -= 1
            raise error("the bank does not answer")

    return charge


def test_what_was_handled() -> None:
    """A listener's fake sees the event, and so does handled(), by class, instance or name."""
    charged: list[float] = []
    billing = Billing(charged.append)
    with EventHarness(billing) as harness:
        harness.send(Placed(1, 9.5))
        harness.wait_idle(DEADLINE)
        assert charged == [9.5]
        assert harness.handled(Billing) == harness.handled(billing) == harness.handled("Billing") == [Placed(1, 9.5)]
    assert harness.handled(Billing) == [Placed(1, 9.5)], "it may be asked afterwards"


def test_what_was_sent() -> None:
    """sent() has the events of the test and of listeners, in order, and envelopes() their headers."""
    harness: EventHarness

    @event_listener(Placed)
    def ship(event: Placed) -> None:
        harness.manager.send_event(Receipt(event.id))

    with EventHarness(ship) as harness:
        harness.send(Placed(1), id="one", key="a", headers={"tenant": "t"})
        harness.send(Placed(2))
        harness.wait_idle(DEADLINE)
        assert harness.sent(Placed) == [Placed(1), Placed(2)]
        assert sorted(receipt.order for receipt in harness.sent(Receipt)) == [1, 2]
        envelope = harness.envelopes(Placed)[0]
        assert (envelope.id, envelope.key, envelope.headers) == ("one", "a", {"tenant": "t"})
        assert sorted(order.id for order in harness.handled(ship)) == [1, 2]


def test_async_listeners() -> None:
    """Coroutines are waited for like anything else."""

    @event_listener(Placed)
    async def ship(event: Placed) -> None:
        await harness.manager.send_event_async(Receipt(event.id))

    with EventHarness(ship) as harness:
        harness.send(Placed(1))
        harness.wait_idle(DEADLINE)
        assert harness.sent(Receipt) == [Receipt(1)]
        assert harness.handled(ship) == [Placed(1)]


@pytest.mark.parametrize("failures", [1, 3, 7, 11])
def test_retries_need_no_waiting(failures: int) -> None:
    """All twelve attempts of the default policy, its pauses of more than a minute included, while nobody waits."""
    attempts: list[int] = []
    charge = failing(failures)

    def counted(total: float) -> None:
        envelope = current_envelope()
        assert envelope is not None
        attempts.append(envelope.attempt)
        charge(total)

    with EventHarness(Billing(counted)) as harness:
        harness.send(Placed(1))
        harness.wait_idle(DEADLINE)
        assert attempts == list(range(1, failures + 2))
        assert harness.handled(Billing) == [Placed(1)]
        assert harness.errors == ()
        assert harness.clock.monotonic() >= (10, 30, 60)[(failures - 3) // 3] if failures >= 3 else True


def test_time_passes_step_by_step() -> None:
    """A retry comes when its pause is over, and not before; advance() goes through several of them in one step."""
    policy = RetryPolicy(immediate=0, delayed=(10, 20, 30), jitter=0)
    calls: list[float] = []

    def charge(total: float) -> None:
        calls.append(harness.clock.monotonic())
        raise ConnectionError("no")

    with EventHarness(Billing(charge), retry=policy) as harness:
        harness.send(Placed(1))
        harness.wait_idle(DEADLINE, advance=False)
        assert calls == [0]
        harness.advance(9.5, timeout=DEADLINE)
        assert calls == [0]
        harness.advance(0.5, timeout=DEADLINE)
        assert calls == [0, 10]
        harness.advance(100, timeout=DEADLINE)
        assert calls == [0, 10, 30, 60]
        assert harness.clock.monotonic() == 110
        assert len(harness.errors) == 1


def test_pauses_on_the_spot() -> None:
    """The pause between two tries in place is one of the clock's, too; half of it is not enough."""
    policy = RetryPolicy(immediate=1, immediate_wait=(8,), delayed=())
    charge = failing(1)
    with EventHarness(Billing(charge), retry=policy) as harness:
        harness.send(Placed(1))
        harness.advance(4, timeout=DEADLINE)
        assert harness.handled(Billing) == []
        harness.advance(4, timeout=DEADLINE)
        assert harness.handled(Billing) == [Placed(1)]


def test_delays() -> None:
    """A delayed event comes when its day has come, in the order of the days."""
    with EventHarness(Billing) as harness:
        harness.send(Placed(2), delay=2 * DAY)
        harness.send(Placed(1), delay=DAY)
        harness.wait_idle(DEADLINE, advance=False)
        assert harness.handled(Billing) == []
        harness.advance(DAY, timeout=DEADLINE)
        assert harness.handled(Billing) == [Placed(1)]
        harness.wait_idle(DEADLINE)
        assert harness.handled(Billing) == [Placed(1), Placed(2)]
        assert harness.clock.monotonic() == 2 * DAY


def test_times_to_live() -> None:
    """An event that is older than its time to live when its turn comes is not handled."""
    with EventHarness(Billing) as harness:
        harness.send(Placed(1), delay=10, ttl=5)
        harness.send(Placed(2), delay=10, ttl=15)
        harness.wait_idle(DEADLINE)
        assert harness.handled(Billing) == [Placed(2)]
        assert harness.manager.health().listeners["Billing"].expired == 1


def test_a_throttled_listener() -> None:
    """A listener that is throttled is probed as time passes: nobody waits for that either."""
    charge = failing(12)
    with EventHarness(Billing(charge), retry=RetryPolicy(immediate=0, delayed=()), workers=1) as harness:
        for number in range(20):
            harness.send(Placed(number))
        harness.wait_idle(DEADLINE)
        assert len(harness.errors) == 12
        assert len(harness.handled(Billing)) == 8
        assert harness.clock.monotonic() >= 10


def test_errors_are_raised_at_the_end() -> None:
    """A listener's exception that no test looked at ends the with block: the original is the cause."""

    def careless() -> None:
        with EventHarness(Billing(failing(99))) as harness:
            harness.send(Placed(1), id="one")
            harness.wait_idle(DEADLINE)

    with pytest.raises(HarnessFailure) as caught:
        careless()
    assert isinstance(caught.value.__cause__, ConnectionError)
    [failure] = caught.value.failures
    assert (failure.listener, failure.event, failure.event_id) == ("Billing", Placed(1), "one")
    assert (failure.reason, failure.attempts) == ("exception", 12)
    text = str(caught.value)
    assert "Billing: Placed(id=1, total=0.0) is in the error queue after 12 attempts" in text
    assert "ConnectionError: the bank does not answer" in text
    assert "test_harness.py:" in text


def test_a_retry_that_nobody_waited_for() -> None:
    """A test that ends between two attempts hears of the failure all the same: after a delay, and on the spot."""
    for policy in (
        RetryPolicy(immediate=0, delayed=(10,)),
        RetryPolicy(immediate=1, immediate_wait=(10,), delayed=()),
    ):
        harness = EventHarness(Billing(failing(1)), retry=policy).start()
        harness.send(Placed(1))
        with pytest.raises(HarnessFailure, match="would be tried again after 1 attempt: ConnectionError"):
            harness.stop()


def test_errors_that_a_test_has_seen() -> None:
    """Who looks at errors knows; what comes after that look is raised."""
    with EventHarness(Billing(failing(99, Reject))) as harness:
        harness.send(Placed(1))
        harness.wait_idle(DEADLINE)
        [failed] = harness.errors
        assert isinstance(failed, FailedEvent)
        assert isinstance(failed.error, Reject)
        assert (failed.event, failed.reason, failed.attempts) == (Placed(1), "rejected", 1)
    harness = EventHarness(Billing(failing(99, Reject))).start()
    harness.send(Placed(1))
    harness.wait_idle(DEADLINE)
    assert len(harness.errors) == 1
    harness.send(Placed(2))
    with pytest.raises(HarnessFailure, match="an event failed"):
        harness.stop()


def test_errors_may_be_left_alone() -> None:
    """raise_errors=False raises nothing."""
    with EventHarness(Billing(failing(99, Reject)), raise_errors=False) as harness:
        harness.send(Placed(1))
    assert len(harness.errors) == 1


def test_a_test_that_fails() -> None:
    """The test's own failure stays, with the listener's exception as its cause."""

    def wrong() -> None:
        with EventHarness(Billing(failing(99))) as harness:
            harness.send(Placed(1))
            harness.wait_idle(DEADLINE)
            raise AssertionError("not billed")

    with pytest.raises(AssertionError, match="not billed") as caught:
        wrong()
    assert not isinstance(caught.value, HarnessFailure)
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_a_body_that_cannot_be_decoded() -> None:
    """It is an error whose event is unknown."""

    @envelope_pipeline()
    class Garble(EnvelopePipeline):
        def send(self, envelope: Any, event_descriptor: Any) -> None:
            envelope.body = b"{"
            self.proceed_send(envelope, event_descriptor)

    with EventHarness(Billing, Garble) as harness:
        harness.send(Placed(1), id="one")
        harness.wait_idle(DEADLINE)
        [failed] = harness.errors
        assert (failed.event, failed.reason, failed.event_id) == (None, "decode", "one")
        assert str(failed).startswith("Billing: one is in the error queue after 1 attempt, reason 'decode'")


def test_what_pipelines_keep() -> None:
    """An event that a pipeline keeps back is not sent; one that it keeps from its listener is not handled by it."""

    @envelope_pipeline()
    class Filter(EnvelopePipeline):
        def send(self, envelope: Any, event_descriptor: Any) -> None:
            if envelope.event.id != 1:
                self.proceed_send(envelope, event_descriptor)

        def handle(self, envelope: Any, event_listener_descriptor: Any) -> None:
            if envelope.event.id != 2:
                self.proceed_handle(envelope, event_listener_descriptor)

    with EventHarness(Billing, Filter) as harness:
        for number in (1, 2, 3):
            harness.send(Placed(number))
        harness.wait_idle(DEADLINE)
        assert harness.sent(Placed) == [Placed(2), Placed(3)]
        assert harness.handled(Billing) == [Placed(3)]


def test_replay() -> None:
    """A dead letter is replayed through the manager, and then handled."""
    with EventHarness(Billing(failing(12))) as harness:
        harness.send(Placed(1))
        harness.wait_idle(DEADLINE)
        assert len(harness.errors) == 1
        [letter] = harness.manager.dead_letters()
        harness.manager.replay(letter.id)
        harness.wait_idle(DEADLINE)
        assert harness.handled(Billing) == [Placed(1)]


def test_an_applications_registry_stays_as_it_is() -> None:
    """The harness works on a copy, in which a ready instance with its fakes takes its listener's place."""
    registry = EventRegistry().register(Billing(failing(99)))
    before = registry.listeners
    charged: list[float] = []
    with EventHarness(Billing(charged.append), registry=registry) as harness:
        harness.send(Placed(1, 2.5))
        harness.send(Receipt(1))
        harness.wait_idle(DEADLINE)
    assert charged == [2.5]
    assert registry.listeners is not before
    assert [listener.target for listener in registry.listeners] == [before[0].target]
    assert [known.name for known in registry.events] == ["Placed"]
    assert registry.pipelines() == ()


def test_wrong_use() -> None:
    """Each misuse is a sentence that says what to do."""
    harness = EventHarness(Billing)
    for call in (lambda: harness.send(Placed(1)), harness.wait_idle, lambda: harness.advance(1)):
        with pytest.raises(HarnessError, match="the harness is new; use it in a with block, or call start"):
            call()
    with harness:
        with pytest.raises(HarnessError, match="make a new one"):
            harness.start()
        with pytest.raises(HarnessError, match="no listener 'Shipping' is in this harness"):
            harness.handled("Shipping")
        with pytest.raises(HarnessError, match="is not a listener"):
            harness.handled(Placed)
        with pytest.raises(HarnessError, match="is not an event"):
            harness.sent(Billing)
        with pytest.raises(HarnessError, match="time goes forward"):
            harness.advance(-1)
    assert harness.stop().finished == 0
    with pytest.raises(HarnessError, match="the harness is stopped"):
        harness.send(Placed(1))
    with pytest.raises(HarnessError, match="make a new one"):
        harness.start()
    with pytest.raises(HarnessError, match="give an EventRegistry"):
        EventHarness(registry={})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="neither event, listener nor pipeline"):
        EventHarness(object())


def test_a_listener_cannot_move_the_clock() -> None:
    """advance() waits for listeners, so a listener is told so at once."""
    with EventHarness(Billing(lambda total: harness.advance(1)), retry=RetryPolicy(immediate=0, delayed=())) as harness:
        harness.send(Placed(1))
        harness.wait_idle(DEADLINE)
        [failed] = harness.errors
        assert isinstance(failed.error, HarnessError)


def test_a_listener_that_does_not_return() -> None:
    """wait_idle() and advance() say who is busy, after their timeout; the end of the block waits for it."""
    gate = Gate()
    with EventHarness(Billing(lambda total: gate.hold())) as harness:
        harness.send(Placed(1))
        gate.wait_reached()
        with pytest.raises(
            HarnessError, match=r"after 0.05 s there is still something to do, here: Billing \(1\); does one wait"
        ):
            harness.wait_idle(0.05)
        with pytest.raises(HarnessError, match=r"here: Billing \(1\)"):
            harness.advance(1, timeout=0.05)
        opener = threading.Timer(0.05, gate.open)
        opener.start()
    opener.join()
    assert harness.handled(Billing) == [Placed(1)]


def test_events_without_an_end() -> None:
    """Listeners that keep each other busy for ever are a sentence after the timeout, and the harness still ends."""

    @event_listener(Receipt)
    def again(event: Receipt) -> None:
        harness.manager.send_event(Receipt(event.order + 1), delay=60)

    with EventHarness(again) as harness:
        harness.send(Receipt(1))
        with pytest.raises(HarnessError, match=r"after 0.2 s there is .* for ever\?"):
            harness.wait_idle(0.2)
        harness.advance(600, timeout=DEADLINE)
        assert len(harness.handled(again)) > 1


def test_a_clock_that_begins_somewhere() -> None:
    """Two harnesses may share a clock, and it may begin at a date."""
    clock = ManualClock(now=1_000_000.0)
    with EventHarness(Billing, clock=clock) as one, EventHarness(Billing, clock=clock) as other:
        one.send(Placed(1), delay=DAY)
        other.send(Placed(2), delay=DAY)
        one.wait_idle(DEADLINE)
        assert (one.handled(Billing), other.handled(Billing)) == ([Placed(1)], [Placed(2)])
    assert clock.time() == 1_000_000.0 + DAY


def test_the_repr() -> None:
    """The repr shows the state."""
    with EventHarness(Billing) as harness:
        harness.send(Placed(1), delay=5)
        assert repr(harness).startswith("<EventHarness started <EventRegistry 1 events, 1 listeners, 1 pipelines>")
        assert "0 s passed" in repr(harness.clock)
