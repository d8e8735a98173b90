"""Turns on the threads of an executor: each once, in order, and no more tasks than are needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from aspyx_event.delivery import turns as turns_module
from aspyx_event.delivery.turns import Turns
from aspyx_event.testing import ManualClock
from tests.unit.support import DEADLINE, Collected, Gate, broken_log


class Pool:
    """An executor with turns, and the tasks that it was given."""

    def __init__(self, threads: int) -> None:
        self.executor = ThreadPoolExecutor(threads)
        self.tasks = Collected[Future[Any]]()
        self.turns = Turns(self.executor, threads, self.tasks)


@pytest.fixture
def pools() -> Iterator[Any]:
    made: list[Pool] = []

    def make(threads: int) -> Pool:
        made.append(Pool(threads))
        return made[-1]

    yield make
    for pool in made:
        pool.executor.shutdown()


def test_every_turn_comes_once(pools: Any) -> None:
    """Whatever threads submit at once: each turn is called, and once."""
    pool, called = pools(3), Collected[int]()

    def submit(base: int) -> None:
        for number in range(base, base + 250):
            pool.turns.submit(lambda number=number: called(number))

    submitters = [threading.Thread(target=submit, args=(1000 * n,)) for n in range(4)]
    for submitter in submitters:
        submitter.start()
    for submitter in submitters:
        submitter.join(DEADLINE)
    called.wait(1000)
    pool.executor.shutdown()
    assert sorted(called.items) == [1000 * n + number for n in range(4) for number in range(250)]


def test_a_burst_is_one_task(pools: Any) -> None:
    """What is submitted while the only thread is busy follows in its order, without a further task."""
    pool, called, gate = pools(1), Collected[int](), Gate()
    pool.turns.submit(gate.hold)
    gate.wait_reached()
    for number in range(100):
        pool.turns.submit(lambda number=number: called(number))
    gate.open()
    assert called.wait(100) == list(range(100))
    assert len(pool.tasks.items) == 1


def test_a_turn_that_blocks_holds_up_no_other_thread(pools: Any) -> None:
    """As many turns run at once as there are threads; what waits behind them starts with the first that ends."""
    pool, called, gates = pools(3), Collected[str](), [Gate() for _ in range(3)]
    for gate in gates:
        pool.turns.submit(gate.hold)
    pool.turns.submit(lambda: called("next"))
    for gate in gates:
        gate.wait_reached()
    assert called.items == []
    gates[1].open()
    assert called.wait(1) == ["next"]
    for gate in gates:
        gate.open()


def test_a_turn_that_raises(pools: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A turn that raises is logged, and its thread goes on with the next one."""
    pool, called, gate = pools(1), Collected[str](), Gate()

    def fail() -> None:
        gate.hold()
        raise SystemExit

    pool.turns.submit(fail)
    pool.turns.submit(lambda: called("next"))
    gate.open()
    assert called.wait(1) == ["next"]
    assert "a worker's turn failed" in caplog.text


def test_a_turn_whose_failure_cannot_be_logged(pools: Any) -> None:
    """A handler of the log that raises ends neither the thread nor the turns that follow."""
    pool, called, gate = pools(1), Collected[str](), Gate()

    def fail() -> None:
        gate.hold()
        raise SystemExit

    with broken_log(turns_module.logger):
        pool.turns.submit(fail)
        pool.turns.submit(lambda: called("next"))
        gate.open()
        assert called.wait(1) == ["next"]


def test_threads_come_back(pools: Any) -> None:
    """After all threads have gone for want of turns, the next turn has one again."""
    pool, called = pools(2), Collected[int]()
    for number in range(20):
        pool.turns.submit(lambda number=number: called(number))
        called.wait(number + 1)
        pool.tasks.items[-1].result(DEADLINE)
    assert called.items == list(range(20))


def test_an_executor_that_is_shut_down(pools: Any) -> None:
    """Without an executor a turn is refused; one that runs by then still does what was submitted before."""
    pool, called, gate = pools(1), Collected[str](), Gate()
    pool.turns.submit(gate.hold)
    gate.wait_reached()
    pool.turns.submit(lambda: called("before"))
    pool.executor.shutdown(wait=False)
    gate.open()
    assert called.wait(1) == ["before"]
    pool.tasks.items[0].result(DEADLINE)
    with pytest.raises(RuntimeError):
        pool.turns.submit(lambda: called("after"))
    assert called.items == ["before"]


def no_thread(*_arguments: Any) -> Future[Any]:
    raise RuntimeError("can't start new thread")


def interrupted() -> None:
    raise KeyboardInterrupt


def test_an_executor_that_gets_no_further_thread(pools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is submitted where the machine gives no further thread follows on the one that runs."""
    pool, called, gate = pools(2), Collected[str](), Gate()
    pool.turns.submit(gate.hold)
    gate.wait_reached()
    monkeypatch.setattr(pool.executor, "submit", no_thread)
    pool.turns.submit(lambda: called("next"))
    gate.open()
    assert called.wait(1) == ["next"]


def test_waking_where_there_is_no_thread(pools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """To wake where no thread can be had harms nothing: it is tried again next time."""
    pool, called = pools(1), Collected[str]()
    with monkeypatch.context() as patched:
        patched.setattr(pool.turns, "_call", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pool.turns.submit(lambda: called("left behind"))
    with monkeypatch.context() as patched:
        patched.setattr(pool.executor, "submit", no_thread)
        pool.turns.wake()
    assert called.items == []
    pool.turns.wake()
    assert called.wait(1) == ["left behind"]


def test_a_manual_clock_hears_of_a_thread_in_time() -> None:
    """When more threads are allowed, nothing counts as done before the clock has heard of the one that is called."""
    clock, one, two, settled, more = ManualClock(), Gate(), Gate(), Collected[bool](), threading.Event()

    def started(future: Future[Any]) -> None:
        if more.is_set():
            one.open()
            settled(clock.settle(0.1))
        clock.submitted(future)

    with ThreadPoolExecutor(2) as executor:
        turns = Turns(executor, 2, started)
        turns._allow(1)
        turns.submit(one.hold)
        one.wait_reached()
        turns.submit(two.hold)
        more.set()
        turns._allow(2)
        two.wait_reached()
        assert settled.items == [False]
        two.open()
        assert clock.settle(DEADLINE)
