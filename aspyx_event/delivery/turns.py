"""The threads of a dispatcher: whose turn is next."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Optional

from aspyx_event.delivery.calls import Call, pending
from aspyx_event.delivery.lookout import Lookout

logger = logging.getLogger(__name__)

Turn = Callable[[], None]


class Turns:
    """Calls what is submitted, in that order, on the threads of an executor. Thread-safe.

    A thread that has finished a turn goes on with the next one, and starts another thread while more are waiting: one
    task of the executor serves a burst of turns. A task for each of them would cost 7 us, and wake a thread besides;
    with 500 listeners nearly every event is a turn.

    Not all threads run where they would only get into each other's way: see Lookout.

    threads: how many the executor has. started(future): hears of each task that is given to the executor.
    """

    def __init__(self, executor: ThreadPoolExecutor, threads: int, started: Callable[[Future[Any]], None]) -> None:
        self._executor = executor
        self._limit = threads
        self._started = started
        self._lock = threading.Lock()
        self._waiting: deque[Turn] = deque()
        self._running = 0
        self._called: Optional[Call] = None
        """The latest call for a thread: who comes calls the next one."""
        self._lookout = Lookout(threads, crowded=self._crowded, allow=self._allow)

    def open(self) -> None:
        """Start to look how many threads are good."""
        self._lookout.open()

    def close(self, timeout: float | None) -> None:
        """Look no more; the executor is its owner's business."""
        self._lookout.close(timeout)

    def submit(self, turn: Turn) -> None:
        """Call ``turn`` when its time has come. Raises RuntimeError when there is no thread, and none to be had."""
        with self._lock:
            self._waiting.append(turn)
            wanted = self._wanted()
            crowded = self._running > 0 or len(self._waiting) > self._limit  # of those who come the first may block
        if crowded:
            self._lookout.notice()
        if not wanted:
            return
        try:
            self._call()
        except RuntimeError:
            with self._lock:
                if not self._running and turn in self._waiting:  # else who runs does it
                    self._waiting.remove(turn)
                    raise

    def wake(self) -> None:
        """Call a thread if one is needed and none was called: for what an interruption may have left behind."""
        self._lookout.notice()
        with self._lock:
            wanted = self._wanted()
        if wanted:
            self._call_another()

    def goes_on(self) -> bool:
        """For a turn, after each delivery: whether it may take the next one, too."""
        self._lookout.handled()
        return self._running <= self._limit

    def _allow(self, threads: int) -> None:
        with self._lock:
            self._limit = threads
            if self._wanted():  # under the lock: all others could be done before ``started`` hears of this task
                self._call_another()

    def _crowded(self) -> bool:
        with self._lock:
            return bool(self._waiting) or self._running > 1

    def _wanted(self) -> bool:
        return bool(self._waiting) and self._running < self._limit and not pending(self._called)

    def _call(self) -> None:
        call = Call()
        future = self._executor.submit(self._run, call)
        self._called = call
        self._started(future)

    def _run(self, call: Call) -> None:
        with self._lock:
            call.answered = True
            self._running += 1
        while True:
            with self._lock:
                if not self._waiting or self._running > self._limit:
                    self._running -= 1
                    return
                turn = self._waiting.popleft()
                wanted = self._wanted()
            try:
                if wanted:
                    self._call_another()
                turn()
            except BaseException:
                with contextlib.suppress(Exception):  # of a handler of the log: this thread has more to do
                    logger.exception("a worker's turn failed")

    def _call_another(self) -> None:
        with contextlib.suppress(RuntimeError):  # it shuts down, or has no thread to give: who runs does what is left
            self._call()
