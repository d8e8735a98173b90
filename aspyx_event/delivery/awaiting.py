"""Confirmations that coroutines wait for. Imported with the first one: most programs have no loop, nor asyncio.

``asyncio.wait_for`` and ``wrap_future`` would do, and take 2 kB for each event that waits: two futures, a timer and
their callbacks. Here it is one future, and what all events of a loop share.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import weakref
from collections import deque
from collections.abc import Generator
from concurrent.futures import CancelledError
from typing import Any, Callable, Optional

from aspyx_event.delivery.sending import Sending
from aspyx_event.exceptions import EventError, ProviderError
from aspyx_event.provider import Confirmation

_TICK = 0.02
"""Seconds. The events whose time ends within the same tick share a timer, so they may get so much more."""
_FAR = 1e9
"""Seconds that are as good as no end; a loop cannot count to infinity."""


class Desk:
    """What the coroutines of one loop wait for. ``answered`` is thread-safe, the rest belongs to the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Callable[[Sending, float], EventError]) -> None:
        self.loop = loop
        self.late = late
        self.ticks: dict[int, _Tick] = {}
        self._answered: deque[AwaitedSending] = deque()
        self._called = False

    def until(self, timeout: float | None) -> float:
        """The end of so many seconds, by the loop's clock."""
        return min(self.loop.time() + timeout, _FAR) if timeout is not None else _FAR

    def join(self, sending: AwaitedSending, until: float) -> _Tick:
        """Watch the time of a sending, which ends at ``until``."""
        number = math.ceil(until / _TICK)
        tick = self.ticks.get(number)
        if tick is None:
            tick = self.ticks[number] = _Tick(self, number)
        tick.waiting[sending] = None
        return tick

    def answered(self, sending: AwaitedSending) -> None:
        """Have the loop look at a sending. It is called once for a burst."""
        self._answered.append(sending)
        if self._called:
            return
        self._called = True
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self.loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._called = False  # before looking: what is answered after this calls again
        answered = self._answered
        try:
            while answered:
                answered.popleft().look()
        finally:
            if answered:  # Ctrl-C came
                self.loop.call_soon(self._tell)


def desk_of(here: threading.local, late: Callable[[Sending, float], EventError]) -> Desk:
    """The desk of the loop that runs in this thread, found through ``here``. RuntimeError where none runs.

    It lives as long as something waits: a loop that is closed before the answers leaves nothing behind.
    """
    loop = asyncio.get_running_loop()
    desk: Optional[Desk] = getattr(here, "desk", _nobody)()
    if desk is None or desk.loop is not loop:
        desk = Desk(loop, late)
        here.desk = weakref.ref(desk)
    return desk


def _nobody() -> None:
    """No desk yet."""


class _Tick:
    """The sendings whose time ends together."""

    __slots__ = ("_desk", "_number", "_timer", "waiting")

    def __init__(self, desk: Desk, number: int) -> None:
        self._desk = desk
        self._number = number
        self._timer = desk.loop.call_at(number * _TICK, self._over)
        self.waiting: dict[AwaitedSending, None] = {}

    def leave(self, sending: AwaitedSending) -> None:
        """It waits no more."""
        self.waiting.pop(sending, None)
        if not self.waiting:
            self._timer.cancel()
            self._desk.ticks.pop(self._number, None)

    def _over(self) -> None:
        self._desk.ticks.pop(self._number, None)
        for sending in list(self.waiting):
            sending.give_up()


class AwaitedSending(Sending):
    """What one coroutine awaits, and then forgets. Called with each of its confirmations, in any thread."""

    __slots__ = ("_desk", "_future", "_tick", "_timeout")

    def __init__(self, event: Any, desk: Desk, timeout: float) -> None:
        super().__init__(event)
        self._desk = desk
        self._timeout = timeout
        self._future: asyncio.Future[None] = desk.loop.create_future()
        self._tick: Optional[_Tick] = None

    def begin(self, until: float) -> None:
        """It was handed to the provider, and there will be no more confirmations."""
        self.confirmations = tuple(self.confirmations)
        if self._settled():
            return
        self._tick = self._desk.join(self, until)
        for confirmation in self.confirmations:
            confirmation.add_done_callback(self)

    def __call__(self, _confirmation: Confirmation[None]) -> None:
        if self.confirmations:
            self._desk.answered(self)

    def __await__(self) -> Generator[Any, None, None]:
        future = self._future
        if future.done() and not future.cancelled() and future.exception() is None:
            return asyncio.sleep(0).__await__()  # whoever sends in a loop lets others run
        return future.__await__()

    def look(self) -> None:
        """One of the confirmations is there."""
        if self.confirmations:
            self._settled()

    def give_up(self) -> None:
        """The time is over."""
        if self.confirmations and not self._settled():
            self._future.set_exception(self._desk.late(self, self._timeout))

    def forget(self) -> None:
        """See Sending."""
        if self._tick is not None:
            self._tick.leave(self)
        super().forget()

    def _settled(self) -> bool:
        future = self._future
        if future.done():
            return True
        for confirmation in self.confirmations:
            if not confirmation.done():
                return False
            error = self._error_of(confirmation)
            if error is not None:
                future.set_exception(error)
                return True
        future.set_result(None)
        return True

    def _error_of(self, confirmation: Confirmation[None]) -> BaseException | None:
        try:
            error = confirmation.exception(0)
        except CancelledError:
            return self.given_up()
        return self.named(error) if isinstance(error, ProviderError) else error
