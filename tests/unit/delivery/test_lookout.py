"""The lookout: one thread where that handles more, all of them where listeners wait, and no stall in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from aspyx_event import LocalProvider
from aspyx_event.delivery import lookout as lookout_module
from aspyx_event.delivery.lookout import QUICK, Lookout
from aspyx_event.delivery.turns import Turns
from aspyx_event.testing import ManualClock
from tests.unit.delivery.events import Placed, listening
from tests.unit.support import DEADLINE, Collected, Gate, broken_log, managed

MOST = 6


class Told(Lookout):
    """A lookout that is told how many deliveries a second are handled, with one thread and with all."""

    def __init__(self, *, one: float, all: float) -> None:
        self.allowed = Collected[int]()
        self.crowd = threading.Event()
        self.crowd.set()
        super().__init__(MOST, crowded=self.crowd.is_set, allow=self.allowed)
        self.one = one
        self.all = all

    def _rate(self, seconds: float) -> float:
        super()._rate(seconds)
        return self.one if self._alone else self.all

    def in_the_end(self) -> int:
        """How many may run when the crowd is gone: a trial under way is taken back then."""
        self.crowd.clear()
        self.close(DEADLINE)
        return self.allowed.items[-1]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(lookout_module, "SOON", 0.001)
    made: list[Told] = []

    def make(one: float, all: float) -> Told:
        made.append(Told(one=one, all=all))
        made[-1].open()
        return made[-1]

    yield make
    for lookout in made:
        lookout.close(DEADLINE)


def test_one_thread_that_handles_more_stays(told: Any) -> None:
    """Listeners that only compute: one thread is tried and stays, also after all were tried again."""
    lookout = told(9000, 6000)
    assert lookout.allowed.wait(5)[:5] == [1, MOST, 1, MOST, 1]
    assert lookout.in_the_end() == 1


def test_all_stay_where_they_handle_more(told: Any) -> None:
    """Listeners that wait: one thread is tried and given up each time."""
    lookout = told(2000, 6000)
    assert lookout.allowed.wait(4)[:4] == [1, MOST, 1, MOST]
    assert lookout.in_the_end() == MOST


def test_a_little_more_changes_nothing(told: Any) -> None:
    """What is hardly better than before is not worth a change, in neither direction."""
    lookout = told(6300, 6000)
    lookout.allowed.wait(4)
    assert lookout.in_the_end() == MOST

    lookout = told(9000, 6000)
    lookout.allowed.wait(1)
    lookout.all = 9500
    lookout.allowed.wait(len(lookout.allowed.items) + 4)
    assert lookout.in_the_end() == 1


def test_all_come_back_when_one_is_not_enough_any_more(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that suddenly waits brings all threads back at once, without a trial."""
    monkeypatch.setattr(lookout_module, "SOON", 1000.0)
    lookout = told(9000, 6000)
    assert lookout.allowed.wait(1) == [1]
    lookout.one = 100
    assert lookout.allowed.wait(2) == [1, MOST]


def test_slow_listeners_are_left_alone(told: Any) -> None:
    """Below so many deliveries a second nothing is tried: it would only make events wait."""
    looked = Collected[float]()
    lookout = told(QUICK * 9, QUICK - 1)
    measure = lookout._rate
    lookout._rate = lambda seconds: looked(seconds) or measure(seconds)
    looked.wait(5)
    assert lookout.allowed.items == []


def test_it_rests_while_there_is_no_crowd(told: Any) -> None:
    """Without a crowd it sleeps until it is told; what crowds it then is looked after."""
    lookout = told(9000, 6000)
    lookout.allowed.wait(1)
    lookout.crowd.clear()
    while not lookout.resting:
        threading.Event().wait(0.001)
    before = len(lookout.allowed.items)
    lookout.crowd.set()
    lookout.notice()
    lookout.allowed.wait(before + 1)


def test_a_lookout_that_fails(told: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of its own is logged, and all threads run."""
    lookout = told(9000, 6000)
    lookout.allowed.wait(1)
    lookout._rate = lambda _seconds: 1 / 0
    lookout._thread.join(DEADLINE)
    assert not lookout._thread.is_alive()
    assert lookout.allowed.items[-1] == MOST
    assert "all of them run" in caplog.text


def test_a_log_that_fails_too() -> None:
    """All threads run after a fault, also when it cannot be logged."""
    allowed = Collected[int]()
    lookout = Lookout(MOST, crowded=lambda: bool(1 / 0), allow=allowed)
    with broken_log(lookout_module.logger), pytest.raises(OSError, match="not looked after"):
        lookout._run()
    assert allowed.items == [MOST]


def test_a_clock_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where monotonic() makes long steps, as on Windows, deliveries a second are measured all the same."""
    coarse = SimpleNamespace(monotonic=lambda: 1.0, perf_counter=time.perf_counter)
    monkeypatch.setattr(lookout_module, "time", coarse)
    lookout = Lookout(MOST, crowded=lambda: False, allow=Collected[int]())
    assert lookout._rate(0.001) == 0


def test_turns_run_one_at_a_time_when_told_so() -> None:
    """Threads beyond the allowed ones leave after their turn; the rest follows on the one that stays, or on all."""
    with ThreadPoolExecutor(2) as executor:
        turns = Turns(executor, 2, Collected[Future[Any]]())
        one, two, three, last = Gate(), Gate(), Gate(), Gate()
        turns.submit(one.hold)
        turns.submit(two.hold)
        one.wait_reached()
        two.wait_reached()
        turns._allow(1)
        assert not turns.goes_on()
        turns.submit(three.hold)
        turns.submit(last.hold)
        one.open()
        two.open()
        three.wait_reached()
        assert turns.goes_on()
        assert not last.reached.wait(0.05)
        turns._allow(2)
        last.wait_reached()
        three.open()
        last.open()


def test_the_first_of_two_turns_blocks() -> None:
    """Two turns that wait for the one allowed thread before it has come: the second does not wait for the first."""
    with ThreadPoolExecutor(2) as executor:
        turns = Turns(executor, 2, Collected[Future[Any]]())
        turns.open()
        lookout, late, first, second = turns._lookout, Gate(), Gate(), Gate()
        while not lookout.resting:
            threading.Event().wait(0.001)
        lookout._least = 1e9
        lookout._run_alone(True)
        for _ in range(2):
            executor.submit(late.hold)
        turns.submit(first.hold)
        turns.submit(second.hold)
        late.open()
        second.wait_reached()
        first.open()
        second.open()
        turns.close(DEADLINE)


def test_the_clock_of_a_test() -> None:
    """It asks whether all work is done, and does not hear of what waits for a thread: so all run."""
    clock = ManualClock()
    provider = LocalProvider(clock=clock)
    with managed(listening(lambda _event: None), provider=provider, workers=2, clock=clock) as manager:
        assert manager._dispatcher is not None
        assert not manager._dispatcher._turns._lookout._thread.is_alive()


def test_a_listener_that_suddenly_blocks_holds_up_nobody() -> None:
    """While one thread runs, a listener that blocks has the others wait for a few looks, and not for its end."""
    gate, seen = Gate(), Collected[int]()

    def on(event: Placed) -> None:
        if event.number == 1:
            gate.hold()
        seen(event.number)

    with managed(listening(on), workers=2) as manager:
        assert manager._dispatcher is not None
        lookout = manager._dispatcher._turns._lookout
        lookout._least = 1e9
        lookout._next_trial = float("inf")
        lookout._run_alone(True)
        manager.send_event(Placed(1))
        gate.wait_reached()
        manager.send_event(Placed(2))
        assert seen.wait(1) == [2]
        gate.open()
        assert seen.wait(2) == [2, 1]
