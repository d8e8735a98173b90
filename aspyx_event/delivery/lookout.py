"""How many threads of a dispatcher run at once: one, where more would only get into each other's way."""

from __future__ import annotations

import itertools
import logging
import queue
import sys
import threading
import time
from typing import Callable

logger = logging.getLogger(__name__)

LOOK = 0.005
"""Seconds between two looks while one thread runs. When a listener suddenly blocks, others wait for two or three."""
TRIAL = 0.01
"""Seconds over which deliveries are counted, before and during a trial."""
QUICK = 1000
"""Deliveries a second of all listeners. With fewer, each takes so long that changing threads costs little beside it."""
BETTER = 1.1
"""How many times more have to be handled for a change."""
SOON = 0.05
"""Seconds until the next trial, after one that brought a change; each that brings none doubles them."""
LATE = 12.8
"""The most seconds between two trials."""


class Lookout:
    """Looks after the threads of a dispatcher while more than one of them has something to do. Thread-safe.

    Python runs one thread at a time. Where listeners only compute, a second worker handles nothing that the first one
    could not, and both take the interpreter from each other for each event, which costs more than the event does. Where
    a listener waits for something, each worker helps. Which it is shows in how many deliveries are handled. So now and
    then the other way is tried, one thread or all, and the better one stays. It begins with all: of the bursts that
    are over before anything is known, those whose listeners wait gain more by that than the others lose.

    most: how many threads there are. crowded: whether more than one has something to do.
    allow(n): let so many run at once from now on.
    """

    def __init__(self, most: int, *, crowded: Callable[[], bool], allow: Callable[[int], None]) -> None:
        self.handled: Callable[[], int] = itertools.count().__next__  # one step of C: no lock for each delivery
        """To be called for each delivery."""
        self.resting = False
        """Whether it sleeps until it gets crowded."""
        self._most = most
        self._crowded = crowded
        self._allow = allow
        self._alone = False
        """Whether one thread runs at a time."""
        self._least = 0.0
        """Deliveries a second below which one thread is not enough any more."""
        self._gap = SOON
        self._next_trial = 0.0
        self._alarm: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="aspyx-lookout", daemon=True)

    def open(self) -> None:
        """Start the thread, where one running alone can be better: not on a Python without a GIL."""
        if self._most > 1 and getattr(sys, "_is_gil_enabled", lambda: True)():
            self._thread.start()

    def notice(self) -> None:
        """It got crowded; heard by one that rests. Safe where Ctrl-C may come at any line."""
        if self.resting:
            self._alarm.put(True)

    def close(self, timeout: float | None) -> None:
        """End the thread."""
        self._closed.set()
        self._alarm.put(True)
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                while self._watching():
                    self._look()
                self._rest()
        except BaseException:
            self._allow(self._most)  # first: a handler of the log may raise, too
            logger.exception("threads are not looked after any more: all of them run")

    def _watching(self) -> bool:
        return self._crowded() and not self._closed.is_set()

    def _rest(self) -> None:
        """Wait until it is crowded."""
        while not self._alarm.empty():
            self._alarm.get()
        self.resting = True
        if not self._crowded() and not self._closed.is_set():  # it may be, since before it could be told
            self._alarm.get()
        self.resting = False

    def _look(self) -> None:
        rate = self._rate(LOOK if self._alone else TRIAL)
        if not self._watching():
            return
        if self._alone and rate < self._least and self._rate(LOOK) < self._least:  # a listener waits for something
            self._run_alone(False)
            self._next_trial = time.monotonic() + self._gap
        elif rate >= QUICK and time.monotonic() >= self._next_trial:
            self._try_the_other(max(rate, self._rate(TRIAL)))
        elif not self._alone:
            self._closed.wait(SOON)

    def _try_the_other(self, before: float) -> None:
        """One thread in place of all, which handle ``before`` in a second, or the other way round."""
        self._run_alone(not self._alone)
        self._closed.wait(LOOK)  # for what is under way
        rate = self._rate(TRIAL)
        if rate <= before * BETTER:
            rate = max(rate, self._rate(TRIAL))
        if not self._watching():
            self._run_alone(not self._alone)
            return
        if rate > before * BETTER:
            self._gap = SOON
        else:
            self._run_alone(not self._alone)
            self._gap = min(LATE, 2 * self._gap)
        self._least = max(rate, before) / 2
        self._next_trial = time.monotonic() + self._gap

    def _run_alone(self, alone: bool) -> None:
        self._alone = alone
        self._allow(1 if alone else self._most)

    def _rate(self, seconds: float) -> float:
        """Deliveries that are handled in a second, measured for so long."""
        began, handled = time.perf_counter(), self.handled()  # monotonic() may stand still for 16 ms on Windows
        self._closed.wait(seconds)
        return (self.handled() - handled - 1) / (time.perf_counter() - began)

    def __repr__(self) -> str:
        return f"<Lookout {self._most} threads, {'one' if self._alone else 'all'} at once>"
