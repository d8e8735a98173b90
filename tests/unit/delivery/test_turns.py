"""Turns on the threads of an executor: each once, in order, and no more tasks than are needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from aspyx_event.delivery.turns import Turns
from tests.unit.support import DEADLINE, Collected, Gate


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
