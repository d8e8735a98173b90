"""The deliveries of one listener that wait for a worker: arrival order, lanes per key, pauses, the throttle."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Optional

from aspyx_event.delivery.calls import Call, pending
from aspyx_event.delivery.lanes import Item, Lanes, opened
from aspyx_event.delivery.throttle import Throttle
from aspyx_event.provider import Delivery
from aspyx_event.timing import SYSTEM_CLOCK, Clock

PAUSE = 10.0
"""Seconds a listener rests after a copy could not be written."""
BY_PAUSE = "by pause()"
"""Why a listener that an operator paused does not run."""


class Inbox:
    """Hands items to workers one by one. Thread-safe.

    Two locks: ``_intake`` makes reading envelopes and entering lanes one step after the other, in arrival order;
    ``_lock`` guards the state and is never held while foreign code runs. Neither is taken where a delivery arrives or
    an ordinary one is done: there each step is one operation of the interpreter, and their order does the rest. Who
    brings a delivery looks afterwards for somebody who takes it, and a worker that leaves looks once more for a
    delivery (``docs/decisions/18-nobody-waits-for-a-lock.rst``).
    """

    def __init__(self, concurrency: int, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.concurrency = concurrency
        self.newest_first = True
        """The order in which what waits is released: as each goes to the head of its queue, or else oldest first."""
        self.throttle = Throttle()
        self._clock = clock
        self._intake = threading.Lock()
        self._lock = threading.Lock()
        self._arrived: deque[Delivery] = deque()
        self._startable: deque[Item] = deque()
        self._lanes = Lanes()
        self._running: set[Item] = set()
        self._reading = 0
        """1 while a worker reads an envelope."""
        self._workers = 0
        self._called: Optional[Call] = None
        """The latest call for a worker."""
        self._paused_until = 0.0
        self._kept: set[Item] = set()
        self._why = ""
        self._held = False
        self._open = False
        self._closed = False

    # -- the provider's side

    def put(self, delivery: Delivery) -> bool:
        """A delivery arrived. True: call one more worker. False, or an own release of it: none is wanted."""
        self._arrived.append(delivery)
        if self._closed or self._held:
            self._release_late()
        return self._wanted()

    def _release_late(self) -> None:
        with self._lock:
            late = self._taken_back() if self._closed or self._held else []
        for delivery in late:
            delivery.release()

    def _taken_back(self) -> list[Delivery]:
        """What has arrived, in the order of its release; more may arrive meanwhile."""
        arrived = []
        while self._arrived:
            arrived.append(self._arrived.popleft())
        return arrived[::-1] if self.newest_first else arrived

    def open(self) -> None:
        """From here on items may start; until then they wait."""
        with self._lock:
            self._open = True

    def close(self) -> int:
        """Nothing starts any more; what waits is released, in order. Answers how many those are."""
        return self._let_go(closed=True)

    def hold(self) -> int:
        """Nothing starts until ``go_on``; what waits is released, and what still comes. Answers how many wait."""
        return self._let_go(closed=False)

    def go_on(self) -> bool:
        """Undo ``hold``; whether there was something to undo."""
        with self._lock:
            was, self._held = self._held, False
            if was:
                self._paused_until = 0.0
            return was

    def _let_go(self, *, closed: bool) -> int:
        with self._intake, self._lock:
            self._closed, self._held = self._closed or closed, self._held or not closed
            behind = self._lanes.clear()
            for item in self._startable:
                self._lanes.leave(item)
            read = [item.delivery for item in (*self._startable, *behind)]
            self._kept.difference_update(self._startable)
            self._startable.clear()
            arrived = self._taken_back()
        for delivery in (*arrived, *reversed(read)) if self.newest_first else (*read, *arrived):
            delivery.release()
        return len(read) + len(arrived)

    # -- the workers' side

    def called(self, call: Call) -> None:
        """A worker was called, and comes to ``take`` with this call."""
        self._called = call

    def take(self, call: Call) -> tuple[Item | None, bool]:
        """The next item for a worker that was called, and whether to call one more. None: that one is done.

        Workers are wanted one after the other, each by the one before it: a burst of deliveries wakes one thread, not
        all of them, and who finds nothing left wakes nobody.
        """
        with self._intake:
            while True:
                with self._lock:
                    if not call.answered:
                        call.answered = True
                        self._workers += 1
                    if self._workers > self._limit() or self._closed_for():
                        self._workers -= 1
                        return None, False
                    self._paused_until = 0.0
                    if self._startable:
                        return self._start(self._startable.popleft())
                    if not self._arrived:
                        self._workers -= 1
                        if not self._arrived:  # what came before this look may have counted on this worker
                            return None, False
                        self._workers += 1
                    delivery = self._arrived.popleft()
                    self._reading = 1
                item = Item(delivery, opened(delivery))
                if item.key is None:
                    started = self._start(item)
                    self._reading = 0
                    return started
                with self._lock:
                    self._reading = 0
                    if self._lanes.admit(item):
                        return self._start(item)

    def done(self, item: Item) -> bool:
        """The item is settled: the next of its key may start. True: it was the last of those that had to be kept."""
        self._running.discard(item)
        if item.key is None and not self._kept:
            return False
        with self._lock:
            following = self._lanes.leave(item)
            if following is not None:
                self._startable.append(following)
            return bool(self._kept) and self._forget_kept(item)

    def keep(self, item: Item, why: str) -> tuple[float, bool]:
        """The item could not be settled: it comes before what has arrived, after a pause. Answers its seconds, and
        whether this is the first item that is kept. Of several that are kept each gets its turn.

        0 seconds: the inbox is closed or held, and the item released.
        """
        with self._lock:
            self._running.discard(item)
            if not self._closed and not self._held:
                self._startable.append(item)
                self._paused_until = self._clock.monotonic() + PAUSE
                first, self._why = not self._kept, why
                self._kept.add(item)
                return PAUSE, first
            self._lanes.leave(item)
            self._forget_kept(item)
        item.delivery.release()
        return 0.0, False

    def _forget_kept(self, item: Item) -> bool:
        known = item in self._kept
        self._kept.discard(item)
        return known and not self._kept

    def worker_gone(self) -> None:
        """A worker that has come ends its turn, and may be called again."""
        with self._lock:
            self._workers -= 1

    def wants_worker(self) -> bool:
        """Whether to call one more worker."""
        with self._lock:
            return self._wanted()

    # -- what others see

    @property
    def running(self) -> list[Item]:
        """The items in workers now."""
        with self._lock:
            return list(self._running)

    @property
    def in_flight(self) -> int:
        """Deliveries that are not settled."""
        with self._lock:
            return len(self._running) + self._reading + len(self._arrived) + len(self._startable) + self._lanes.parked

    @property
    def parked(self) -> int:
        """Deliveries that wait behind another one of their key."""
        return self._lanes.parked

    @property
    def held(self) -> bool:
        """Whether it is held by ``hold``."""
        return self._held

    @property
    def state(self) -> str:
        """stopped, paused, throttled or running."""
        return self.condition[0]

    @property
    def condition(self) -> tuple[str, str]:
        """The state, and why it is not running, as far as it is known here."""
        with self._lock:
            if self._closed:
                return "stopped", ""
            if self._held:
                return "paused", BY_PAUSE
            if self._kept:
                return "paused", self._why
            return ("throttled" if self.throttle.active else "running"), ""

    def report(self, *, raised: bool, again: bool = False) -> tuple[bool, float]:
        """Tell the throttle how a delivery, or retry, ended: whether its state changed, and the pause until a probe."""
        if not raised and not self.throttle.failing:
            return False, 0.0  # nearly always: a failure that comes about right now has come after this success
        now = self._clock.monotonic()
        with self._lock:
            changed = self.throttle.failed(now, again=again) if raised else self.throttle.succeeded()
            return changed, self.throttle.closed_for(now)

    def _start(self, item: Item) -> tuple[Item, bool]:
        item.started_at = time.monotonic()
        item.thread = threading.current_thread()
        self._running.add(item)
        return item, self._wanted()

    def _limit(self) -> int:
        return 1 if self.throttle.active else self.concurrency

    def _closed_for(self) -> float:
        if self._held or self._closed or not self._open:
            return float("inf")
        if not self._paused_until and not self.throttle.active:
            return 0.0
        now = self._clock.monotonic()
        return max(self._paused_until - now, self.throttle.closed_for(now), 0.0)

    def _wanted(self) -> bool:
        if self._workers >= self._limit() or not (self._arrived or self._startable) or pending(self._called):
            return False
        return not self._closed_for()
