"""ManualClock by itself, and where a clock can be given."""

from __future__ import annotations

import threading

import pytest

from aspyx_event import ConfigurationError, EventManager, LocalProvider
from aspyx_event.testing import ManualClock
from aspyx_event.timing import SYSTEM_CLOCK
from tests.unit.support import DEADLINE, Collected


def test_calls_in_their_order() -> None:
    """Calls run in the order of their times, in the thread that moves the clock, and each at its time."""
    clock, seen = ManualClock(now=100), list[tuple[str, float, bool]]()
    scheduler = clock.scheduler("test")
    here = threading.current_thread()

    def call(name: str) -> None:
        seen.append((name, clock.time(), threading.current_thread() is here))

    scheduler.call_later(2, lambda: call("b"))
    scheduler.call_later(1, lambda: (call("a"), scheduler.call_later(0.5, lambda: call("between")))[0])
    scheduler.call_later(1.75, lambda: call("cancelled")).cancel()
    scheduler.call_later(9, lambda: call("later"))
    clock.advance(5)
    assert seen == [("a", 101, True), ("between", 101.5, True), ("b", 102, True)]
    assert clock.monotonic() == 5
    assert repr(clock) == "<ManualClock 5 s passed, 1 due later>"


def test_jumps_to_what_counts() -> None:
    """jump() goes to the next call that is no housekeeping, and does what lies on the way."""
    clock, seen = ManualClock(), list[str]()
    scheduler = clock.scheduler("test")
    scheduler.call_later(1, lambda: seen.append("daemon"), daemon=True)
    assert not clock.jump()
    scheduler.call_later(3, lambda: seen.append("cancelled")).cancel()
    scheduler.call_later(60, lambda: seen.append("call"))
    assert clock.jump()
    assert (seen, clock.monotonic()) == (["daemon", "call"], 60)
    assert not clock.jump()


def test_a_closed_scheduler() -> None:
    """The calls of a closed scheduler are dropped, and it takes no new ones; others stay."""
    clock, seen = ManualClock(), list[str]()
    one, other = clock.scheduler("one"), clock.scheduler("other")
    one.call_later(1, lambda: seen.append("one"))
    other.call_later(1, lambda: seen.append("other"))
    one.close()
    one.call_later(1, lambda: seen.append("too late"))
    clock.advance(2)
    assert seen == ["other"]
    assert repr(one) == "<ManualScheduler one due=0 closed>"


@pytest.mark.parametrize("by", ["advance", "interrupt"])
def test_a_pause_ends(by: str) -> None:
    """A pause ends when its time has passed, or when its stop is set and the clock is told."""
    clock, stop, ended = ManualClock(), threading.Event(), Collected[float]()
    thread = threading.Thread(target=lambda: (clock.pause(10, stop), ended(clock.monotonic())))
    thread.start()
    while not clock.jump() if by == "advance" else "1 due" not in repr(clock):
        threading.Event().wait(0.01)
    if by == "interrupt":
        stop.set()
        clock.interrupt()
    thread.join(DEADLINE)
    assert ended.items == [10 if by == "advance" else 0]
    clock.pause(10, stop if by == "interrupt" else _set())


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def test_the_systems_clock() -> None:
    """The default clock's pause ends with its stop, and its scheduler has a thread."""
    SYSTEM_CLOCK.pause(DEADLINE, _set())
    SYSTEM_CLOCK.pause(0.001, threading.Event())
    scheduler, seen = SYSTEM_CLOCK.scheduler("test"), Collected[int]()
    scheduler.call_later(0.001, lambda: seen(1))
    seen.wait()
    scheduler.close(DEADLINE)


def test_what_is_no_clock() -> None:
    """A manager takes a Clock, and nothing else; a named bus has one clock."""
    for wrong in (None, 3, object()):
        with pytest.raises(ConfigurationError, match="give an instance of Clock"):
            EventManager("local://", clock=wrong)  # type: ignore[arg-type]
    LocalProvider("clock-test")
    with pytest.raises(ConfigurationError, match="local://clock-test is in use already, with another clock"):
        LocalProvider("clock-test", clock=ManualClock())
