"""judge: the decision after a failed attempt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event import CodecError, Reject, Retry, RetryPolicy
from aspyx_event.delivery.redelivery import Action, Poison, Verdict, judge
from aspyx_event.delivery.wiring import policy_of
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.listeners import EventListenerDescriptor
from tests.unit.test_retry import policies

POLICY = RetryPolicy(immediate=2, immediate_wait=(0, 0.1), delayed=(10, 20, 30), jitter=0, fatal=(KeyError,))


@pytest.mark.parametrize(
    ("attempt", "verdict"),
    [
        (1, Verdict(Action.IN_PLACE, 0)),
        (2, Verdict(Action.IN_PLACE, 0.1)),
        (3, Verdict(Action.LATER, 10)),
        (4, Verdict(Action.IN_PLACE, 0)),
        (6, Verdict(Action.LATER, 20)),
        (9, Verdict(Action.LATER, 30)),
        (11, Verdict(Action.IN_PLACE, 0.1)),
        (12, Verdict(Action.DEAD, reason="exception")),
        (10**9, Verdict(Action.DEAD, reason="exception")),
    ],
)
def test_the_walk(attempt: int, verdict: Verdict) -> None:
    """Two tries in place, a pause in the queue, and so on; after the twelfth the error queue."""
    assert judge(ValueError(), attempt, POLICY) == verdict


@pytest.mark.parametrize("error", [KeyError(), SystemExit()])
def test_never_retried(error: BaseException) -> None:
    """``fatal`` and what is not ``on`` go to the error queue at once."""
    assert judge(error, 1, POLICY) == Verdict(Action.DEAD, reason="exception")


@pytest.mark.parametrize("reason", ["decode", "unknown_event", "crashed"])
def test_poison(reason: str) -> None:
    """Poison goes to the error queue at once, with its reason, whatever the policy says."""
    assert judge(Poison(reason, CodecError("x")), 1, POLICY) == Verdict(Action.DEAD, reason=reason)


def test_reject() -> None:
    """Reject goes to the error queue at once."""
    assert judge(Reject("no"), 1, POLICY) == Verdict(Action.DEAD, reason="rejected")


def test_retry_signal() -> None:
    """Retry comes back later, after its own delay or the policy's, also where no pause is configured."""
    assert judge(Retry(delay=3), 1, POLICY) == Verdict(Action.LATER, 3)
    assert judge(Retry(), 1, POLICY) == Verdict(Action.LATER, 10)
    assert judge(Retry(), 6, POLICY) == Verdict(Action.LATER, 20)
    assert judge(Retry(), 1, RetryPolicy(immediate=1, delayed=())) == Verdict(Action.LATER, 0)


def test_retry_is_an_attempt() -> None:
    """Retry counts as an attempt like any other, and bypasses ``fatal`` and ``on``."""
    assert judge(Retry(delay=3), 12, POLICY) == Verdict(Action.DEAD, reason="exception")
    assert judge(Retry(), 1, RetryPolicy(fatal=(Exception,))).action is Action.LATER


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf")])
def test_impossible_delay(delay: float) -> None:
    """A Retry with an impossible delay is refused where it is made."""
    with pytest.raises(ConfigurationError, match="delay"):
        Retry(delay=delay)


@given(policies, st.integers(1, 10**9))
def test_it_ends(policy: RetryPolicy, attempt: int) -> None:
    """From max_attempts on, everything is dead; before, nothing that is covered."""
    dead = judge(ValueError(), attempt, policy).action is Action.DEAD
    assert dead == (attempt >= policy.max_attempts)


def test_precedence() -> None:
    """The listener's policy comes before the event's before the manager's."""
    manager, of_event, of_listener = RetryPolicy(immediate=1), RetryPolicy(immediate=2), RetryPolicy(immediate=3)

    def chosen(event: RetryPolicy | None, listener: RetryPolicy | None) -> RetryPolicy:
        descriptor = EventListenerDescriptor("l", EventDescriptor("e", int, retry=event), None, retry=listener)
        return policy_of(descriptor, manager)

    assert chosen(None, None) is manager
    assert chosen(of_event, None) is of_event
    assert chosen(of_event, of_listener) is of_listener
