"""Retries, rejects, expiry and the throttle, by their effects."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import Any

import pytest

from aspyx_event import ExceptionManager, Outcome, Reject, Retry, RetryPolicy, catch, current_envelope
from aspyx_event.delivery import throttle as throttle_module
from tests.unit.delivery.events import Placed, listening
from tests.unit.fake_provider import FakeProvider
from tests.unit.support import ONCE, Collected, managed

QUICK = RetryPolicy(immediate=1, immediate_wait=(0,), delayed=(0, 0), jitter=0)


def failing(error: Any) -> Any:
    def on(_e: Any) -> None:
        raise error

    return on


@pytest.mark.parametrize("asynchronous", [False, True])
def test_attempts(asynchronous: bool) -> None:
    """A listener that keeps failing gets as many attempts as the policy says; then the event is a dead letter."""
    attempts, outcomes = Collected[int](), Collected[Outcome]()

    def on(_e: Any) -> None:
        attempts(current_envelope().attempt)  # type: ignore[union-attr]
        raise ValueError("never")

    async def on_async(e: Any) -> None:
        on(e)

    with managed(listening(on_async if asynchronous else on), retry=QUICK, observers=[outcomes], workers=1) as manager:
        manager.send_event(Placed(), id="x")
        results = [(o.result.value, o.attempt, o.failures) for o in outcomes.wait(3)]
        letters = list(manager.dead_letters())
    assert attempts.items == [1, 2, 3, 4, 5, 6]
    assert results == [("retried", 2, 2), ("retried", 4, 2), ("dead_lettered", 6, 2)]
    assert [(letter.id, letter.attempts, letter.reason) for letter in letters] == [("x", 6, "exception")]


def test_success_after_failures() -> None:
    """A try in place that succeeds ends it: handled, with its failures counted."""
    tries, outcomes = Counter[int](), Collected[Outcome]()

    def on(e: Placed) -> None:
        tries[e.number] += 1
        if tries[e.number] < 4:
            raise ValueError

    with managed(listening(on), retry=QUICK, observers=[outcomes], workers=1) as manager:
        manager.send_event(Placed())
        last = outcomes.wait(2)[1]
        health = manager.health().listeners["listener"]
    assert (last.result.value, last.attempt, last.failures) == ("handled", 4, 1)
    assert (health.handled, health.failed, health.dead_lettered, health.last_error) == (1, 3, 0, "ValueError: ")


def test_what_an_attempt_does_to_its_envelope() -> None:
    """Each attempt gets the envelope as it came, and so do the copies, whatever the one before did to it."""
    provider, outcomes, seen = FakeProvider(), Collected[Outcome](), list[tuple[dict[str, str], bytes, str]]()

    def on(_e: Any) -> None:
        envelope = current_envelope()
        assert envelope is not None
        seen.append((envelope.headers, envelope.body, envelope.id))
        envelope.set("tenant", "changed")
        envelope.set("note", "mine")
        envelope.body = b"another"
        raise ValueError

    policy = RetryPolicy(immediate=1, immediate_wait=(0,), delayed=(7,), jitter=0)
    with managed(listening(on), provider=provider, retry=policy, observers=[outcomes]):
        delivery = provider.deliver("listener", b"{}", headers={"tenant": "a"})
        outcomes.wait(1)
    [(_, headers, _)] = delivery.forwards.items
    assert headers["tenant"] == "a"
    assert "note" not in headers
    assert [one[:2] for one in seen] == 2 * [({"tenant": "a"}, b"{}")]
    assert {headers["cloudEvents_id"]} == {one[2] for one in seen} == {outcomes.items[0].event_id}


def test_a_retry_is_a_copy_to_its_own_queue() -> None:
    """A delayed retry is a confirmed copy to the listener's own queue with the next attempt number, then an accept."""
    provider = FakeProvider()
    policy = RetryPolicy(immediate=0, delayed=(7,), jitter=0.5)
    with managed(listening(failing(ValueError())), provider=provider, retry=policy):
        delivery = provider.deliver("listener", headers={"tenant": "acme", "ev_error_reason": "forged"})
        assert delivery.settled.wait() == ["accepted"]
    [(destination, headers, delay)] = delivery.forwards.items
    assert destination == "Placed::listener"
    assert 7 <= delay <= 7 * 1.5
    assert headers == {"cloudEvents_id": headers["cloudEvents_id"], "tenant": "acme", "ev_attempt": "2"}


def test_retry_signal() -> None:
    """Retry(delay=) comes back after its delay, and skips the tries in place."""
    provider = FakeProvider()
    with managed(listening(failing(Retry(delay=42))), provider=provider, retry=QUICK):
        delivery = provider.deliver("listener")
        delivery.settled.wait()
    assert [(destination, delay) for destination, _, delay in delivery.forwards.items] == [("Placed::listener", 42)]


def test_reject() -> None:
    """Reject goes to the error queue at once, with its reason."""
    provider = FakeProvider()
    with managed(listening(failing(Reject("no such article"))), provider=provider, retry=QUICK):
        delivery = provider.deliver("listener")
        delivery.settled.wait()
    [(destination, headers, delay)] = delivery.forwards.items
    assert (destination, delay) == ("error", 0)
    assert (headers["ev_error_reason"], headers["ev_error_message"]) == ("rejected", "no such article")
    assert headers["ev_error_attempts"] == "1"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_base_exceptions(error: BaseException, asynchronous: bool) -> None:
    """sys.exit() in a listener ends neither worker nor loop: the event is a dead letter, and the next is handled."""
    seen, outcomes = Collected[int](), Collected[Outcome]()

    def on(e: Placed) -> None:
        if e.number == 0:
            raise error
        seen(e.number)

    async def on_async(e: Placed) -> None:
        on(e)

    listener = listening(on_async if asynchronous else on)
    with managed(listener, workers=1, retry=QUICK, observers=[outcomes]) as manager:
        manager.send_event(Placed(0))
        manager.send_event(Placed(1))
        assert seen.wait() == [1]
        assert [outcome.result.value for outcome in outcomes.wait(2)] == ["dead_lettered", "handled"]


def test_exception_manager() -> None:
    """The handlers see each failed attempt; what they return decides, and stands in the error headers."""
    seen = Collected[str]()

    class Handlers:
        @catch()
        def on_value_error(self, error: ValueError) -> Any:
            seen(f"{error} in {current_envelope().id}")  # type: ignore[union-attr]
            return Reject("given up") if str(error) == "fatal" else None

    exceptions = ExceptionManager()
    exceptions.collect_handlers(Handlers())
    outcomes = Collected[Outcome]()
    tries = iter([ValueError("once"), ValueError("fatal")])

    def on(_e: Any) -> None:
        raise next(tries)

    with managed(listening(on), exception_manager=exceptions, retry=QUICK, observers=[outcomes]) as manager:
        manager.send_event(Placed(), id="x")
        outcome = outcomes.wait()[0]
    assert seen.items == ["once in x", "fatal in x"]
    assert (outcome.result.value, outcome.reason, outcome.attempt) == ("dead_lettered", "rejected", 2)


def test_policy_precedence() -> None:
    """The listener's policy counts, not the manager's."""
    outcomes = Collected[Outcome]()
    listener = listening(failing(ValueError()), retry=ONCE)
    with managed(listener, retry=RetryPolicy(), observers=[outcomes]) as manager:
        manager.send_event(Placed())
        assert outcomes.wait()[0].result.value == "dead_lettered"


def test_expired() -> None:
    """An event whose time is over is accepted, not handled, and counted as expired."""
    provider, seen, outcomes = FakeProvider(), Collected[Any](), Collected[Outcome]()
    with managed(listening(seen), provider=provider, observers=[outcomes]):
        delivery = provider.deliver("listener", expires_at=time.time() - 1)
        assert delivery.settled.wait() == ["accepted"]
        assert [outcome.result.value for outcome in outcomes.wait()] == ["expired"]
    assert seen.items == []
    assert delivery.forwards.items == []


@pytest.mark.parametrize("value", ["-1", "x", "²", ""])
def test_forged_attempts_start_anew(value: str) -> None:
    """A forged attempt number that is none counts as the first."""
    provider, seen = FakeProvider(), Collected[int]()
    with managed(listening(lambda e: seen(current_envelope().attempt)), provider=provider):  # type: ignore[union-attr]
        provider.deliver("listener", headers={"ev_attempt": value})
        assert seen.wait() == [1]


def test_huge_attempt() -> None:
    """A forged attempt number beyond the policy gets one attempt, and then the error queue."""
    provider, seen = FakeProvider(), Collected[int]()

    def on(_e: Any) -> None:
        seen(1)
        raise ValueError

    with managed(listening(on), provider=provider, retry=RetryPolicy()):
        delivery = provider.deliver("listener", headers={"ev_attempt": "1000000000"})
        delivery.settled.wait()
    assert seen.items == [1]
    assert delivery.forwards.items[0][0] == "error"


def test_throttle(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """After ten failures in a row a listener is probed one by one, until one succeeds."""
    monkeypatch.setattr(throttle_module, "PROBE_EVERY", 0.2)
    provider, broken, starts, outcomes = FakeProvider(), threading.Event(), Collected[float](), Collected[Outcome]()
    broken.set()

    def on(_e: Any) -> None:
        starts(time.monotonic())
        if broken.is_set():
            raise ValueError

    with caplog.at_level(logging.INFO), managed(listening(on), provider=provider, observers=[outcomes]) as manager:
        for number in range(10):
            provider.deliver("listener")
            outcomes.wait(number + 1)
        for _ in range(20):
            provider.deliver("listener")
        times = starts.wait(12)
        assert manager.health().listeners["listener"].state == "throttled"
        assert manager.health().status == "degraded"
        broken.clear()
        starts.wait(30)
        assert all(later - earlier >= 0.19 for earlier, later in zip(times[9:], times[10:12]))
        outcomes.wait_until(lambda items: any(outcome.result.value == "handled" for outcome in items))
        assert manager.health().listeners["listener"].state == "running"
    assert "listener listener only fails: it is throttled" in caplog.text
    assert "listener listener succeeds again" in caplog.text


def test_retries_that_fail_again_do_not_throttle(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Retries that come in a row after an outage do not stop a listener that handles what is new."""
    monkeypatch.setattr(throttle_module, "PROBE_EVERY", 0.01)
    provider, seen = FakeProvider(), Collected[int]()

    def on(_e: Any) -> None:
        attempt = current_envelope().attempt  # type: ignore[union-attr]
        seen(attempt)
        if attempt > 1:
            raise ValueError

    with managed(listening(on), provider=provider, retry=QUICK):
        for _ in range(20):
            provider.deliver("listener", headers={"ev_attempt": "3"}).settled.wait()
        provider.deliver("listener").settled.wait()
    assert seen.items.count(1) == 1
    assert "throttled" not in caplog.text


def test_rejects_and_poison_do_not_throttle() -> None:
    """Reject and decode failures say nothing about the listener's health."""
    provider = FakeProvider()
    with managed(listening(failing(Reject("no"))), provider=provider) as manager:
        for _ in range(12):
            provider.deliver("listener").settled.wait()
            provider.deliver("listener", b"no json").settled.wait()
        assert manager.health().listeners["listener"].state == "running"
