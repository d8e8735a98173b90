"""A clock that stands still until a test moves it."""

from __future__ import annotations

import heapq
import itertools
import threading
from concurrent.futures import Future
from typing import Any, Callable, Optional

from aspyx_event.envelope import current_envelope
from aspyx_event.testing.failures import HarnessError, StillBusy
from aspyx_event.timing import SYSTEM_CLOCK, Clock, Deadline, Scheduler, Timer

PATIENCE = 5.0


class ManualScheduler(Scheduler):
    """A scheduler without a thread: the clock runs its calls, in the thread that moves it."""

    def __init__(self, name: str, clock: ManualClock) -> None:
        super().__init__(name)
        self._clock = clock

    def call_later(self, delay: float, call: Callable[[], None], *, daemon: bool = False) -> Timer:
        """See Scheduler."""
        timer = Timer(call)
        if not self._closed:
            self._clock.add(delay, self, timer, daemon=daemon)
        return timer

    def close(self, timeout: float | None = None) -> None:  # noqa: ARG002 - there is no thread
        """See Scheduler."""
        self._closed = True
        self._clock.drop(self)


class ManualClock(Clock):
    """Time for tests: it passes when ``advance`` says so, and then at once. Thread-safe.

    Give the same one to ``LocalProvider(clock=...)`` and ``EventManager(clock=...)``; EventHarness does. Delayed
    events, pauses between attempts, times to live and the rests of failing listeners follow it. While listeners work,
    the time stands still: what they take is not on this clock.

    now: the Unix time at which it begins, by default that of the system.
    """

    def __init__(self, now: Optional[float] = None) -> None:
        self._began = SYSTEM_CLOCK.time() if now is None else now
        self._passed = 0.0
        self._changed = threading.Condition()
        self._moving = threading.Lock()
        self._order = itertools.count()
        self._timers: list[tuple[float, int, ManualScheduler, Timer, bool]] = []
        self._pausing: dict[int, tuple[float, threading.Event]] = {}
        self._working = 0

    # -- moving it

    def advance(self, seconds: float, *, timeout: float = PATIENCE) -> None:
        """Let time pass. What falls due is done in its order, and with all that follows from it before time goes on.

        timeout: real seconds for what listeners have to do meanwhile, by default 5. Raises HarnessError when they take
        longer, for a negative number, and in a listener, which it would wait for.
        """
        if not seconds >= 0:
            raise HarnessError(f"advance({seconds!r}): time goes forward, by a number of seconds from 0 on")
        deadline = Deadline(timeout)
        with self._moving_alone():
            target = self._passed + seconds
            self._settled(deadline, timeout)
            while self._step(target):
                self._settled(deadline, timeout)
            with self._changed:
                self._passed = max(self._passed, target)

    def jump(self, *, timeout: float = PATIENCE) -> bool:
        """``advance`` to what is due next, however far away. False: nothing is, apart from housekeeping."""
        with self._changed:
            dues = [due for due, _, _, timer, daemon in self._timers if not (daemon or timer.cancelled)]
            dues += [due for due, _ in self._pausing.values()]
            if not dues:
                return False
            seconds = max(0.0, min(dues) - self._passed)
        self.advance(seconds, timeout=timeout)
        return True

    def settle(self, timeout: float = PATIENCE) -> bool:
        """Wait until no listener has anything to do at this time; False after so many real seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._working <= len(self._pausing), timeout)

    def _settled(self, deadline: Deadline, timeout: float) -> None:
        if not self.settle(deadline.left() or 0.0):
            raise StillBusy(f"listeners are still busy after {timeout:g} s: does one wait for something?")

    def _moving_alone(self) -> threading.Lock:
        if current_envelope() is not None:
            raise HarnessError("a listener cannot move the clock: this waits until listeners are done")
        return self._moving

    def _step(self, target: float) -> bool:
        """Do what is due next, if it is not after ``target``."""
        with self._changed:
            dues = [due for due, _ in self._pausing.values()]
            if self._timers:
                dues.append(self._timers[0][0])
            due = min(dues, default=None)
            if due is None or due > target:
                return False
            self._passed = max(self._passed, due)
            self._wake(lambda until, _: until <= self._passed)
            timer = heapq.heappop(self._timers)[3] if self._timers and self._timers[0][0] <= self._passed else None
        if timer is not None:
            timer.fire()
        return True

    def _wake(self, wanted: Callable[[float, threading.Event], bool]) -> None:
        for pause in [key for key, (until, stop) in self._pausing.items() if wanted(until, stop)]:
            del self._pausing[pause]  # here, and not when its thread has noticed: it counts as working from now on
        self._changed.notify_all()

    # -- a Clock

    def monotonic(self) -> float:
        """See Clock; the seconds that were let pass."""
        return self._passed

    def time(self) -> float:
        """See Clock."""
        return self._began + self._passed

    def scheduler(self, name: str) -> Scheduler:
        """See Clock."""
        return ManualScheduler(name, self)

    def pause(self, seconds: float, stop: threading.Event) -> None:
        """See Clock."""
        with self._changed:
            if seconds <= 0 or stop.is_set():
                return
            pause = next(self._order)
            self._pausing[pause] = self._passed + seconds, stop
            self._changed.notify_all()
            self._changed.wait_for(lambda: pause not in self._pausing)

    def interrupt(self) -> None:
        """See Clock."""
        with self._changed:
            self._wake(lambda _, stop: stop.is_set())

    def submitted(self, work: Future[Any]) -> None:
        """See Clock."""
        with self._changed:
            self._working += 1
        work.add_done_callback(self._done)

    def _done(self, _work: Future[Any]) -> None:
        with self._changed:
            self._working -= 1
            self._changed.notify_all()

    # -- for its schedulers

    def add(self, delay: float, scheduler: ManualScheduler, timer: Timer, *, daemon: bool) -> None:
        """A call that is due later."""
        with self._changed:
            heapq.heappush(self._timers, (self._passed + delay, next(self._order), scheduler, timer, daemon))

    def drop(self, scheduler: ManualScheduler) -> None:
        """Forget the calls of a scheduler."""
        with self._changed:
            self._timers = [entry for entry in self._timers if entry[2] is not scheduler]
            heapq.heapify(self._timers)

    def __repr__(self) -> str:
        return f"<ManualClock {self._passed:g} s passed, {len(self._timers) + len(self._pausing)} due later>"
