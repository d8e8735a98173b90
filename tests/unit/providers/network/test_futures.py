"""Waiting for a future in the main thread."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import pytest

from aspyx_event.providers.network.futures import awaited


class Heard(Exception):
    """Raised by the signal handler of this test."""


def test_a_signal_that_another_thread_gets() -> None:
    """A signal that does not wake the waiting main thread is handled long before its timeout."""

    def handle(number: int, _frame: Any) -> None:
        raise Heard(number)

    def interrupt() -> None:
        threading.Event().wait(0.2)  # until the main thread waits
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    thread = threading.Thread(target=interrupt, name="interrupter")
    started = time.monotonic()
    try:
        thread.start()
        with pytest.raises(Heard):
            awaited(Future(), 40)
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert time.monotonic() - started < 20


def test_results_and_timeouts() -> None:
    """It answers the result, raises the error of the future, even one that is a timeout, or its own timeout."""
    future: Future[int] = Future()
    with pytest.raises(FutureTimeout):
        awaited(future, 0.01)
    threading.Timer(0.05, future.set_result, [7]).start()
    assert awaited(future, None) == 7
    failed: Future[int] = Future()
    failed.set_exception(FutureTimeout("its own"))
    with pytest.raises(FutureTimeout, match="its own"):
        awaited(failed, 30)
