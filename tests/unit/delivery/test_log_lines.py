"""One log line for each change, and no flood."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from aspyx_event import AuthenticationFailed, Outcome, ProviderState, ProviderUnavailable, RetryPolicy, SendRejected
from aspyx_event.delivery import inbox as inbox_module
from aspyx_event.delivery import outcome_log, reports
from aspyx_event.delivery import throttle as throttle_module
from aspyx_event.delivery.outcome_log import LINES
from tests.unit.delivery.events import Placed, listening
from tests.unit.fake_provider import FakeProvider, confirmed, refused
from tests.unit.support import Collected, managed

LATER = RetryPolicy(immediate=0, delayed=(5,), jitter=0)


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def lines(caplog: pytest.LogCaptureFixture, *, containing: str = "") -> list[str]:
    return [
        f"{record.levelname} {record.getMessage()}"
        for record in caplog.records
        if record.name.startswith("aspyx_event") and containing in record.getMessage()
    ]


def failing(_e: Any) -> None:
    raise ValueError


def every_other(e: Placed) -> None:
    if e.number % 2:
        raise ValueError


@pytest.mark.parametrize(
    ("policy", "each", "summary"),
    [
        (LATER, "attempt 1 for event", "WARNING listener listener: 40 more events failed and will be tried again"),
        (RetryPolicy(immediate=0, delayed=()), "is in the error queue", "ERROR listener listener: 40 more events are"),
    ],
    ids=["retries", "dead-letters"],
)
def test_failures_are_summed_up(policy: RetryPolicy, each: str, summary: str, caplog: Any) -> None:
    """Ten failures of a kind have a line each, the others of the minute one line together, at the latest at stop()."""
    provider, outcomes = FakeProvider(), Collected[Outcome]()
    with managed(listening(every_other), provider=provider, retry=policy, observers=[outcomes], workers=1):
        for number in range(100):
            provider.deliver("listener", b'{"number": %d}' % number)
        outcomes.wait(100)
    assert len(lines(caplog, containing=each)) == LINES
    [found] = lines(caplog, containing="40 more events")
    assert found.startswith(summary)
    assert "ValueError" in found


def test_the_window_ends(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """After the window the summary is written while the manager runs, and failures have lines of their own again."""
    monkeypatch.setattr(outcome_log, "WINDOW", 0.2)
    provider, summed = FakeProvider(), Collected[str]()
    listener = listening(every_other)
    handler = logging.Handler()
    handler.emit = lambda record: summed(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("aspyx_event.delivery.outcome_log").addHandler(handler)
    try:
        with managed(listener, provider=provider, retry=LATER, workers=1):
            for number in range(2 * LINES + 4):
                provider.deliver("listener", b'{"number": %d}' % number)
            summed.wait_until(lambda texts: any("2 more events failed" in text for text in texts))
            provider.deliver("listener", b'{"number": 1}', headers={"cloudEvents_id": "afterwards"})
            summed.wait_until(lambda texts: any("event afterwards failed" in text for text in texts))
    finally:
        logging.getLogger("aspyx_event.delivery.outcome_log").removeHandler(handler)


def test_probes_are_only_counted(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """While a listener is throttled, the retries of its probes have no line of their own."""
    monkeypatch.setattr(throttle_module, "PROBE_EVERY", 0.02)
    monkeypatch.setattr(outcome_log, "LINES", 1000)
    provider, outcomes = FakeProvider(), Collected[Outcome]()
    with managed(listening(failing), provider=provider, retry=LATER, observers=[outcomes], workers=1):
        for _ in range(15):
            provider.deliver("listener")
        outcomes.wait(15)
    assert len(lines(caplog, containing="attempt 1 for event")) == 10
    assert len(lines(caplog, containing="only fails: it is throttled")) == 1
    assert len(lines(caplog, containing="5 more events failed")) == 1


def test_expired_events(caplog: Any) -> None:
    """A queue full of expired events has ten lines and a summary."""
    provider, outcomes = FakeProvider(), Collected[Outcome]()
    with managed(listening(failing), provider=provider, observers=[outcomes]):
        for _ in range(30):
            provider.deliver("listener", expires_at=1.0)
        outcomes.wait(30)
    assert len(lines(caplog, containing="has expired")) == LINES
    assert len(lines(caplog, containing="20 more events have expired")) == 1


def test_an_error_queue_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """However many copies are refused, and how often: one line when it begins, and one when it is over."""
    monkeypatch.setattr(inbox_module, "PAUSE", 0.02)
    provider, broken, outcomes = FakeProvider(), [True], Collected[Outcome]()
    provider.on_forward = lambda: refused(SendRejected("full")) if broken[0] else confirmed()
    with managed(listening(failing), provider=provider, observers=[outcomes], workers=3) as manager:
        deliveries = [provider.deliver("listener") for _ in range(3)]
        for delivery in deliveries:
            delivery.forwards.wait(4)
        assert manager.health().listeners["listener"].state == "paused"
        broken[0] = False
        outcomes.wait(3)
    assert len(lines(caplog, containing="was not confirmed")) == 1
    assert lines(caplog, containing="was not confirmed")[0].startswith("WARNING listener listener is paused: the copy")
    assert lines(caplog, containing="goes on") == ["INFO listener listener goes on: nothing is kept any more"]


def test_an_outage(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Of many failed attempts to connect, one has a line each minute, and so has the first of each kind of failure."""
    monkeypatch.setattr(reports, "REMIND_EVERY", 3600.0)
    provider = FakeProvider()
    with managed(listening(lambda e: None), provider=provider):
        for _ in range(20):
            provider.lose_connection(ProviderUnavailable("refused"))
        for _ in range(20):
            provider.lose_connection(AuthenticationFailed("wrong password"))
            provider.lose_connection(ProviderUnavailable("refused"))
        monkeypatch.setattr(reports, "REMIND_EVERY", 0.0)
        provider.lose_connection(AuthenticationFailed("still wrong"))
        for _ in range(2):
            provider.on_state(ProviderState(connected=True))
    assert lines(caplog, containing="FakeProvider") == [
        "INFO <FakeProvider> is connected",
        "WARNING <FakeProvider> lost its connection: refused",
        "WARNING <FakeProvider> has no connection for 0 s, and goes on trying: wrong password",
        "WARNING <FakeProvider> has no connection for 0 s, and goes on trying: still wrong",
        "INFO <FakeProvider> is connected again after 0 s",
    ]


def test_a_start_that_takes_long(caplog: Any) -> None:
    """Failed attempts before the first connection have one line."""

    class Slow(FakeProvider):
        def start(self, on_state: Any, *, timeout: float) -> None:
            for number in range(5):
                on_state(ProviderState(False, ProviderUnavailable(f"attempt {number}")))
            super().start(on_state, timeout=timeout)

    with managed(provider=Slow()):
        pass
    assert lines(caplog, containing="FakeProvider")[:2] == [
        "WARNING <FakeProvider> has no connection yet, and goes on trying: attempt 0",
        "INFO <FakeProvider> is connected",
    ]


def test_a_refused_queue(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """A listener whose queue is refused again and again has one line, with its name, until the reason changes."""
    monkeypatch.setattr(reports, "REMIND_EVERY", 0.0)
    provider = FakeProvider()

    def tell(*reasons: str) -> None:
        for reason in reasons:
            error = SendRejected(reason) if reason else None
            provider.on_state(ProviderState(True, error, "Placed::listener"))

    with managed(listening(lambda e: None), provider=provider):
        tell("", "deleted", "deleted", "deleted", "no right", "no right", "", "")
        provider.on_state(ProviderState(True, SendRejected("no right"), "Shipped"))
    assert lines(caplog, containing="listener listener") == [
        "WARNING listener listener is detached, and tried again until it works: deleted",
        "WARNING listener listener is detached, and tried again until it works: no right",
        "INFO listener listener is attached again",
    ]
    assert lines(caplog, containing="queue Shipped") == [
        "WARNING queue Shipped is detached, and tried again until it works: no right"
    ]
