"""The loop of the async listeners."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import threading

import pytest

from aspyx_event.delivery.loop import LoopThread
from tests.unit.support import DEADLINE

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


async def answer() -> tuple[str, str]:
    await asyncio.sleep(0)
    return threading.current_thread().name, variable.get()


def test_runs_coroutines_in_the_callers_context() -> None:
    """Coroutines run on the loop's thread, in a copy of the caller's context."""
    loop = LoopThread("test-loop")
    assert repr(loop) == "<LoopThread test-loop idle>"

    def call() -> tuple[str, str]:
        variable.set("mine")
        return loop.submit(answer()).result(DEADLINE)

    assert contextvars.Context().run(call) == ("test-loop", "mine")
    assert repr(loop) == "<LoopThread test-loop running>"
    assert not loop.owns_current_thread()
    loop.stop(DEADLINE)
    assert repr(loop) == "<LoopThread test-loop idle>"


def test_no_thread_without_coroutines() -> None:
    """Without a coroutine there is no thread, and stopping is harmless."""
    before = threading.active_count()
    LoopThread().stop(DEADLINE)
    assert threading.active_count() == before


def test_stop_cancels() -> None:
    """stop cancels what still runs, and its future ends."""
    loop, started = LoopThread(), threading.Event()

    async def forever() -> None:
        started.set()
        await asyncio.Event().wait()

    future = loop.submit(forever())
    assert started.wait(DEADLINE)
    loop.stop(DEADLINE)
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(DEADLINE)


@pytest.mark.parametrize("leaving", [SystemExit(1), KeyboardInterrupt()])
def test_a_coroutine_that_leaves(leaving: BaseException) -> None:
    """sys.exit() in a coroutine is its own failure: the loop goes on with the others."""
    loop = LoopThread()

    async def leave() -> None:
        raise leaving

    with pytest.raises(type(leaving)):
        loop.submit(leave()).result(DEADLINE)
    assert loop.submit(answer()).result(DEADLINE)
    loop.stop(DEADLINE)


def test_submit_after_stop() -> None:
    """After stop nothing is run any more: the future is cancelled, and no thread starts."""
    loop = LoopThread()
    loop.submit(answer()).result(DEADLINE)
    loop.stop(DEADLINE)
    with pytest.raises(concurrent.futures.CancelledError):
        loop.submit(answer()).result(DEADLINE)


def test_submit_races_with_stop() -> None:
    """However submit and stop meet, every future ends."""
    for _ in range(30):
        loop, ready = LoopThread(), threading.Barrier(2, timeout=DEADLINE)
        loop.submit(answer()).result(DEADLINE)
        stopper = threading.Thread(target=lambda loop=loop, ready=ready: (ready.wait(), loop.stop(DEADLINE)))  # type: ignore[misc]
        stopper.start()
        ready.wait()
        futures = [loop.submit(answer()) for _ in range(20)]
        stopper.join(DEADLINE)
        for future in futures:
            with contextlib.suppress(concurrent.futures.CancelledError):
                future.result(DEADLINE)


def test_a_blocked_loop(caplog: pytest.LogCaptureFixture) -> None:
    """A coroutine that blocks the loop is said so, and does not keep stop from returning."""
    loop, started, release = LoopThread("test-blocked"), threading.Event(), threading.Event()

    async def block() -> None:
        started.set()
        release.wait(DEADLINE)

    future = loop.submit(block())
    assert started.wait(DEADLINE)
    loop.stop(0.01)
    assert "a coroutine blocks it" in caplog.text
    release.set()
    future.result(DEADLINE)
