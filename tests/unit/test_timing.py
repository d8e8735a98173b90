"""Deadlines and the timer thread."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from aspyx_event.timing import Deadline, Scheduler
from tests.unit.support import DEADLINE, Collected


def test_deadline() -> None:
    """A deadline counts down to zero and never below; without seconds it never passes."""
    assert Deadline(None).left() is None
    assert not Deadline(None).passed
    left = Deadline(60).left()
    assert left is not None
    assert 59 < left <= 60
    assert Deadline(0).passed
    assert Deadline(-5).left() == 0.0


def test_calls_in_order_of_time() -> None:
    """Calls run at their time, not before, in order of time and then of arrival."""
    scheduler, seen = Scheduler("test-timer"), Collected[str]()
    begun = time.monotonic()
    scheduler.call_later(0.05, lambda: seen(f"late {time.monotonic() - begun >= 0.05}"))
    for name in ("a", "b", "c"):
        scheduler.call_later(0, lambda name=name: seen(name))  # type: ignore[misc]
    assert seen.wait(4) == ["a", "b", "c", "late True"]
    scheduler.close(DEADLINE)


def test_an_earlier_call_overtakes() -> None:
    """A call that is due earlier than what the thread waits for wakes it."""
    scheduler, seen = Scheduler("test-timer"), Collected[str]()
    scheduler.call_later(3600, lambda: seen("never"))
    scheduler.call_later(0.01, lambda: seen("now"))
    assert seen.wait() == ["now"]
    assert repr(scheduler) == "<Scheduler test-timer due=1>"
    scheduler.close(DEADLINE)
    assert repr(scheduler) == "<Scheduler test-timer due=0 closed>"


def test_cancel() -> None:
    """A cancelled call does not run."""
    scheduler, seen = Scheduler("test-timer"), Collected[str]()
    scheduler.call_later(0.01, lambda: seen("cancelled")).cancel()
    scheduler.call_later(0.02, lambda: seen("kept"))
    assert seen.wait() == ["kept"]
    scheduler.close(DEADLINE)


def test_errors_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A call that raises is logged, and the thread serves the next one."""
    scheduler, seen = Scheduler("test-timer"), Collected[str]()
    with caplog.at_level(logging.ERROR):
        scheduler.call_later(0, lambda: 1 / 0)  # type: ignore[arg-type]
        scheduler.call_later(0, lambda: seen("next"))
        seen.wait()
    assert "a timed call failed" in caplog.text
    scheduler.close(DEADLINE)


def test_close() -> None:
    """close ends the thread, waits for a call that runs, drops the others, and may be repeated."""
    scheduler, release, seen = Scheduler("test-timer"), threading.Event(), Collected[str]()
    running = threading.Event()

    def call() -> None:
        running.set()
        release.wait(DEADLINE)
        seen("finished")

    scheduler.call_later(0, call)
    scheduler.call_later(0, lambda: seen("dropped"))
    assert running.wait(DEADLINE)
    scheduler.close(0)  # not yet
    assert seen.items == []
    release.set()
    scheduler.close(DEADLINE)
    assert seen.items == ["finished"]
    scheduler.call_later(0, lambda: seen("too late"))
    scheduler.close(DEADLINE)
    assert seen.items == ["finished"]


def test_close_from_its_own_thread() -> None:
    """A call may close the scheduler it runs on."""
    scheduler, seen = Scheduler("test-timer"), Collected[str]()

    def call() -> None:
        scheduler.close(DEADLINE)
        seen("closed")

    scheduler.call_later(0, call)
    assert seen.wait() == ["closed"]


def test_no_thread_without_calls() -> None:
    """A scheduler without calls has no thread."""
    before = threading.active_count()
    Scheduler("test-timer").close()
    assert threading.active_count() == before
