"""The threads of a dispatcher: whose turn is next."""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable

logger = logging.getLogger(__name__)

Turn = Callable[[], None]


class Turns:
    """Calls what is submitted, in that order, on the threads of an executor. Thread-safe.

    A thread that has finished a turn goes on with the next one, and starts another thread while more are waiting: one
    task of the executor serves a burst of turns. A task for each of them would cost 7 us, and wake a thread besides;
    with 500 listeners nearly every event is a turn.

    threads: how many the executor has. started(future): hears of each task that is given to the executor.
    """

    def __init__(self, executor: ThreadPoolExecutor, threads: int, started: Callable[[Future[Any]], None]) -> None:
        self._executor = executor
        self._threads = threads
        self._started = started
        self._lock = threading.Lock()
        self._waiting: deque[Turn] = deque()
        self._running = 0
        self._coming = False
        """Whether a thread was asked for that has not come yet: it starts the next one."""

    def submit(self, turn: Turn) -> None:
        """Call ``turn`` when its time has come. Raises RuntimeError when the executor takes nothing any more."""
        with self._lock:
            self._waiting.append(turn)
            wanted = self._wants_thread()
        if not wanted:
            return
        try:
            self._start()
        except RuntimeError:
            with self._lock:
                self._running -= 1
                self._coming = False
                if turn in self._waiting:
                    self._waiting.remove(turn)
                    raise

    def _wants_thread(self) -> bool:
        if self._coming or not self._waiting or self._running >= self._threads:
            return False
        self._running += 1
        self._coming = True
        return True

    def _start(self) -> None:
        self._started(self._executor.submit(self._run))

    def _run(self) -> None:
        with self._lock:
            self._coming = False
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                turn = self._waiting.popleft()
                wanted = self._wants_thread()
            if wanted:
                self._start_another()
            try:
                turn()
            except BaseException:
                logger.exception("a worker's turn failed")

    def _start_another(self) -> None:
        try:
            self._start()
        except RuntimeError:  # the executor shuts down: who has a thread already does what is left
            with self._lock:
                self._running -= 1
                self._coming = False
