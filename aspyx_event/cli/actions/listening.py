"""``listen``: a manager that runs until it is told to stop, and what it does meanwhile."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any, Optional

from aspyx_event.cli.actions.describing import wiring
from aspyx_event.cli.screen import Screen
from aspyx_event.delivery.health import ListenerHealth
from aspyx_event.manager import STOP_TIMEOUT, EventManager

EVERY = 10.0
_TICK = 0.25
_HEADINGS = ("listener", "state", "in flight", "handled", "failed attempts", "dead letters", "last error")


def listen(
    manager: EventManager,
    screen: Screen,
    *,
    stop_timeout: float = STOP_TIMEOUT,
    every: float = EVERY,
    as_json: bool = False,
) -> int:
    """Show what is wired to what, handle events and count them, until Ctrl-C or SIGTERM.

    Answers what ``manager.run()`` answers: 0, and it leaves with 70 itself when a listener does not return.
    For the main thread. Counters are shown as they change, on a terminal with rich; elsewhere they are a line, at most
    each ``every`` seconds, and none while nothing happens. ``as_json``: each of these is a JSON object on a line.
    """
    watcher = _Watcher(manager, screen, every=every, as_json=as_json)
    watcher.start()
    try:
        code = manager.run(stop_timeout)
    finally:
        watcher.end()
    watcher.summary()
    return code


_NONE = {"state": "running", "handled": 0, "failed_attempts": 0, "dead_lettered": 0, "expired": 0}


class _Watcher(threading.Thread):
    """Shows the wiring once the manager runs, then its counters."""

    def __init__(self, manager: EventManager, screen: Screen, *, every: float, as_json: bool) -> None:
        super().__init__(name="aspyx-counters", daemon=True)
        self._manager = manager
        self._screen = screen
        self._every = every
        self._as_json = as_json
        self._ended = threading.Event()
        self._reported: dict[str, dict[str, Any]] = {}
        """What was said last; at first that all is well and nothing has come."""

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()
        self.join()

    def summary(self) -> None:
        """The last word: what was handled in all."""
        self._report("stopped")

    def run(self) -> None:
        """Wait for the start, then watch until the manager stops."""
        while not self._manager.health().live:
            if self._ended.wait(_TICK):
                return
        if self._as_json:
            self._screen.json({"state": "listening", **wiring(self._manager)}, line=True)
        else:
            self._screen.text(f"{self._manager.describe()}\n")
            self._screen.text("listening; Ctrl-C ends it")
        self._reported = {name: {**one, **_NONE} for name, one in self._counters().items()}
        with self._screen.status() as show:
            if show is None or self._as_json:
                self._write_lines()
                return
            while self._manager.health().live and not self._ended.is_set():
                show(self._table())
                self._ended.wait(_TICK)

    def _write_lines(self) -> None:
        while not self._ended.wait(self._every):
            if self._counters() != self._reported:
                self._report("listening")

    def _report(self, state: str) -> None:
        listeners = self._manager.health().listeners
        self._reported = self._counters()
        if self._as_json:
            counted = {name: _numbers(one) for name, one in listeners.items()}
            self._screen.json({"state": state, "listeners": counted}, line=True)
            return
        parts = [f"{name} {_text(one)}" for name, one in listeners.items()]
        self._screen.text(f"{datetime.now():%H:%M:%S} {state}: {'; '.join(parts) or 'no listener'}")

    def _counters(self) -> dict[str, dict[str, Any]]:
        return {name: _numbers(one) for name, one in self._manager.health().listeners.items()}

    def _table(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [_HEADINGS]
        for name, one in self._manager.health().listeners.items():
            numbers = (str(number) for number in (one.in_flight, one.handled, one.failed, one.dead_lettered))
            rows.append((name, one.state, *numbers, _printable(one.last_error)))
        return rows


def _numbers(one: ListenerHealth) -> dict[str, Any]:
    return {
        "state": one.state,
        "handled": one.handled,
        "failed_attempts": one.failed,
        "dead_lettered": one.dead_lettered,
        "expired": one.expired,
    }


def _text(one: ListenerHealth) -> str:
    parts = [f"{one.handled} handled"]
    if one.failed:
        parts.append(f"{one.failed} attempts failed")
    if one.dead_lettered:
        parts.append(f"{one.dead_lettered} in the error queue")
    if one.expired:
        parts.append(f"{one.expired} expired")
    if one.state not in ("running", "stopped"):
        parts.append(one.state)
    return ", ".join(parts)


def _printable(text: Optional[str]) -> str:
    return "".join(c if c.isprintable() else " " for c in text or "")[:80]
