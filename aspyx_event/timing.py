"""Deadlines, one thread that calls functions later, and the clock that says when later is."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from concurrent.futures import Future
from typing import Any, Callable, Optional

logger = logging.getLogger(__name__)


class Deadline:
    """A point in time on the monotonic clock, made from a number of seconds (None: never)."""

    __slots__ = ("_at",)

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds left, never negative; None without a limit. Fits every ``timeout`` of the standard library."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether the time is over."""
        return self._at is not None and time.monotonic() >= self._at


class Timer:
    """A call that is due later. ``cancel`` is thread-safe and may be called at any time."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Optional[Callable[[], None]] = call

    def cancel(self) -> None:
        """Forget the call; a call that is running already goes on."""
        self._call = None

    @property
    def cancelled(self) -> bool:
        """Whether the call was forgotten."""
        return self._call is None

    def fire(self) -> None:
        """Run the call unless it was cancelled. Its errors are logged: the thread serves others too."""
        call = self._call
        if call is None:
            return
        try:
            call()
        except Exception:
            logger.exception("a timed call failed")


class Scheduler:
    """One daemon thread that runs short calls at their time. Thread-safe.

    The thread starts with the first call and ends with ``close``; calls that are not due by then are dropped.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._closed = False

    def call_later(self, delay: float, call: Callable[[], None], *, daemon: bool = False) -> Timer:  # noqa: ARG002
        """Run ``call`` in ``delay`` seconds on the scheduler's thread.

        ``daemon``: housekeeping. A clock that jumps to what is due next does not jump to it.
        """
        timer = Timer(call)
        with self._changed:
            if self._closed:
                return timer
            heapq.heappush(self._due, (time.monotonic() + delay, next(self._order), timer))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()
        return timer

    def close(self, timeout: float | None = None) -> None:
        """End the thread; waits for a call that is running, at most ``timeout`` seconds."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._due or self._due[0][0] > time.monotonic()):
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._closed:
                    return
                timer = heapq.heappop(self._due)[2]
            timer.fire()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name} due={len(self._due)}{' closed' if self._closed else ''}>"


class Clock:
    """The time by which a manager, and LocalProvider, measure delays, retries and times to live: the system's.

    Thread-safe. ``aspyx_event.testing.ManualClock`` is another one, whose time passes when a test says so. Deadlines
    of calls (``timeout=``) and measured durations are not its business: they are of real time.
    """

    def monotonic(self) -> float:
        """Seconds from some point on, never going back."""
        return time.monotonic()

    def time(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def scheduler(self, name: str) -> Scheduler:
        """A new Scheduler by this clock; whoever asks for it closes it."""
        return Scheduler(name)

    def pause(self, seconds: float, stop: threading.Event) -> None:
        """Block so many seconds, or until ``stop`` is set."""
        stop.wait(seconds)

    def interrupt(self) -> None:
        """For who sets a ``stop``, afterwards: let every ``pause`` look at its own."""

    def submitted(self, work: Future[Any]) -> None:
        """Work for listeners was given to a pool of threads: a clock may want to know when all of it is done."""


SYSTEM_CLOCK = Clock()
