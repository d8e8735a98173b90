"""Copies that are not confirmed, and providers that break their promises: nothing is lost, nothing spins."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from typing import Any

import pytest

from aspyx_event import Envelope, Outcome, RetryPolicy, SendRejected
from aspyx_event.delivery import inbox as inbox_module
from aspyx_event.delivery import settlement as settlement_module
from aspyx_event.timing import Deadline
from tests.unit.delivery.events import Placed, listening
from tests.unit.fake_provider import FakeDelivery, FakeProvider, confirmed, refused
from tests.unit.support import DEADLINE, Collected, managed

LATER = RetryPolicy(immediate=0, delayed=(5,), jitter=0)


def never() -> Future[None]:
    return Future()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "PAUSE", 0.1)
    monkeypatch.setattr(settlement_module, "CONFIRM_TIMEOUT", 0.05)


def failing(seen: Collected[int]) -> Any:
    def on(e: Placed) -> None:
        seen(e.number)
        if e.number == 0:
            raise ValueError

    return listening(on)


@pytest.mark.parametrize("policy", [LATER, RetryPolicy(immediate=0, delayed=())], ids=["retry", "dead"])
@pytest.mark.parametrize("failure", [lambda: refused(SendRejected("full")), never], ids=["refused", "timeout"])
def test_kept_and_tried_again(policy: RetryPolicy, failure: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A copy that is not confirmed settles nothing: the listener pauses, and the same copy is tried again."""
    provider, seen, outcomes = FakeProvider(), Collected[int](), Collected[Outcome]()
    answers = iter([failure, failure, confirmed])

    def answer() -> Any:
        return next(answers)()

    provider.on_forward = answer
    with (
        caplog.at_level(logging.WARNING),
        managed(failing(seen), provider=provider, retry=policy, workers=1, observers=[outcomes]) as manager,
    ):
        delivery = provider.deliver("listener", b'{"number": 0}')
        delivery.forwards.wait(1)
        other = provider.deliver("listener", b'{"number": 1}')
        delivery.forwards.wait(2)
        assert manager.health().listeners["listener"].in_flight >= 1
        assert delivery.settled.wait() == ["accepted"]
        assert other.settled.wait() == ["accepted"]
        assert len(outcomes.wait(2)) == 2
    assert seen.items == [0, 1]
    copies = delivery.forwards.items
    assert len(copies) == 3
    assert len({(destination, headers.get("ev_attempt")) for destination, headers, _ in copies}) == 1
    assert "was not confirmed" in caplog.text


def test_paused_in_health() -> None:
    """While it rests, the listener is paused, and the manager degraded."""
    provider, seen = FakeProvider(), Collected[int]()
    provider.on_forward = lambda: refused(SendRejected("full"))
    inbox_module.PAUSE = 60.0  # undone by the fixture
    with managed(failing(seen), provider=provider, workers=1) as manager:
        provider.deliver("listener", b'{"number": 0}').forwards.wait()
        other = provider.deliver("listener", b'{"number": 1}')
        deadline = Deadline(DEADLINE)
        while manager.health().listeners["listener"].state != "paused" and not deadline.passed:
            pass
        assert manager.health().status == "degraded"
        assert manager.health().listeners["listener"].in_flight == 2
    assert other.settled.items == ["released"]
    assert seen.items == [0]


def test_stop_releases_what_is_kept() -> None:
    """What could not be settled is given back when the manager stops."""
    provider, seen = FakeProvider(), Collected[int]()
    provider.on_forward = lambda: refused(SendRejected("full"))
    with managed(failing(seen), provider=provider, workers=1) as manager:
        delivery = provider.deliver("listener", b'{"number": 0}')
        delivery.forwards.wait()
        result = manager.stop()
    assert delivery.settled.items == ["released"]
    assert result.abandoned == ()


def test_a_connection_that_breaks_in_between() -> None:
    """When the delivery is not alive any more, its copy is not tried again: the broker gives it out again."""
    provider, seen, outcomes = FakeProvider(), Collected[int](), Collected[Outcome]()
    deliveries: list[FakeDelivery] = []

    def break_connection() -> Any:
        deliveries[0].lost = True
        return refused(SendRejected("gone"))

    provider.on_forward = break_connection
    with managed(failing(seen), provider=provider, observers=[outcomes]):
        delivery = FakeDelivery(provider, b'{"number": 0}', {})
        deliveries.append(delivery)
        provider.subscriptions["listener"].on_delivery(delivery)
        assert outcomes.wait()[0].result.value == "lost"
    assert len(delivery.forwards.items) == 1
    assert delivery.settled.items == []


class Broken(FakeDelivery):
    """A delivery of a provider with a bug in one of its methods, for a number of calls."""

    failures = 2
    method = ""

    def _maybe(self, method: str) -> None:
        if method == self.method and self.failures > 0:
            self.failures -= 1
            raise RuntimeError(f"bug in {method}")

    def accept(self) -> None:
        self._maybe("accept")
        super().accept()

    def forward(self, *args: Any, **options: Any) -> Any:
        self._maybe("forward")
        return super().forward(*args, **options)

    def read(self) -> Envelope:
        self._maybe("read")
        return super().read()


@pytest.mark.parametrize("method", ["accept", "forward"])
def test_a_provider_with_a_bug(method: str, caplog: pytest.LogCaptureFixture) -> None:
    """A settlement that raises is logged and tried again after a pause, without handling the event again."""
    provider, seen = FakeProvider(), Collected[int]()
    with managed(failing(seen), provider=provider, workers=1):
        delivery = Broken(provider, b'{"number": %d}' % (0 if method == "forward" else 1), {})
        delivery.method = method
        provider.subscriptions["listener"].on_delivery(delivery)
        assert delivery.settled.wait() == ["accepted"]
    assert len(seen.items) == 1
    assert caplog.text.count("is kept and tried again") == 2


def test_a_provider_that_cannot_read(caplog: pytest.LogCaptureFixture) -> None:
    """A message whose reading raises is poison, not a loss."""
    provider, seen = FakeProvider(), Collected[int]()
    with managed(failing(seen), provider=provider):
        delivery = Broken(provider, b"{}", {})
        delivery.method = "read"
        provider.subscriptions["listener"].on_delivery(delivery)
        assert delivery.settled.wait() == ["accepted"]
    assert delivery.forwards.items[0][1]["ev_error_reason"] == "decode"
    assert "RuntimeError" in delivery.forwards.items[0][1]["ev_error_message"]
