"""Ctrl-C while an event is sent: whatever line it hits, everything else goes on."""

from __future__ import annotations

import sys
import threading
from linecache import getline
from pathlib import Path
from types import FrameType
from typing import Any, Callable

import aspyx_event
from tests.unit.delivery.events import Placed, listening
from tests.unit.support import DEADLINE, Collected, managed

_OURS = str(Path(aspyx_event.__file__).parent)


class CtrlC:
    """Raises KeyboardInterrupt at line number ``point`` of the library's that this thread comes to."""

    def __init__(self, point: int) -> None:
        self._left = point
        self.came, self.where = False, ""

    def during(self, call: Callable[[], None]) -> None:
        """Call, and interrupt it."""
        sys.settrace(self)
        try:
            call()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_OURS) or frame.f_code.co_name == "__del__":
            return None  # from __del__ nothing is raised
        # The line of a "with" comes again at its end, just before the release, where Python runs no signal
        # handler.
        if event == "line" and not getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with "):
            self._left -= 1
            if self._left == 0:
                sys.settrace(None)
                self.came = True
                self.where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self


def _in_a_thread(call: Callable[[], None]) -> None:
    """Not in this one: an exception that a trace function raises may leave a thread with another one, half handled."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(DEADLINE)
    assert not thread.is_alive()


def interrupted(point: int) -> bool:
    """Interrupt one send at a line, and see how things are afterwards. False: it has fewer lines."""
    handled, third, ctrl_c = Collected[int](), threading.Event(), CtrlC(point)

    def on(placed: Placed) -> None:
        handled(placed.number)
        if placed.number == 3:
            third.set()

    with managed(listening(on, concurrency=2)) as manager:
        manager.send_event(Placed(1))
        handled.wait(1)
        _in_a_thread(lambda: ctrl_c.during(lambda: manager.send_event(Placed(2))))
        other = threading.Thread(target=manager.send_event, args=(Placed(3),), daemon=True)
        other.start()
        other.join(DEADLINE)
        assert not other.is_alive(), f"{ctrl_c.where}: others cannot send any more"
        manager._dispatcher._watch()  # type: ignore[union-attr] # as it does every 10 s
        assert third.wait(DEADLINE), f"{ctrl_c.where}: nothing is handled any more"
        assert manager._lifecycle._senders == 0, f"{ctrl_c.where}: stop() would wait for a sender that has gone"
    assert handled.items.count(3) == 1
    assert handled.items.count(2) <= 2
    return ctrl_c.came


def test_ctrl_c_at_any_line() -> None:
    """Others send, their events are handled, and stop() waits for nobody, wherever Ctrl-C ends a send."""
    point = 1
    while interrupted(point):
        point += 1
    assert point > 100
