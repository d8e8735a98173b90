"""What happens in the demo, told line by line, and remembered for the table at the end."""

from __future__ import annotations

import threading
import time
from collections import Counter

from aspyx_event.cli.screen import Screen


class Story:
    """A timeline. Thread-safe."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self._counts: Counter[str] = Counter()
        self._fates: dict[str, dict[str, list[str]]] = {}

    def tell(self, kind: str, event_id: str, what: str, *, listener: str = "") -> None:
        """One line: something of this kind happened to an event, in a listener or on its way."""
        with self._changed:
            self._counts[kind] += 1
            if listener:
                self._fates.setdefault(event_id, {}).setdefault(listener, []).append(kind)
            self._screen.step(time.monotonic() - self._began, kind, event_id, listener, what)
            self._changed.notify_all()

    def wait_for(self, seconds: float, **expected: int) -> str:
        """Wait until so much was told; what is missing when it takes too long, else nothing."""
        wanted = {kind.replace("_", " "): count for kind, count in expected.items()}
        with self._changed:
            self._changed.wait_for(lambda: not self._missing(wanted), seconds)
            missing = self._missing(wanted)
        return f"after {seconds:g} s there was {', '.join(missing)}" if missing else ""

    def _missing(self, wanted: dict[str, int]) -> list[str]:
        return [f"{self._counts[kind]} of {n} times {kind!r}" for kind, n in wanted.items() if self._counts[kind] < n]

    def fates(self, *listeners: str) -> list[tuple[str, ...]]:
        """For each event its steps in each listener."""
        with self._changed:
            return [
                (event_id, *(_in_short(by_listener.get(name, [])) for name in listeners))
                for event_id, by_listener in sorted(self._fates.items())
            ]


def _in_short(steps: list[str]) -> str:
    """``failed x2 > retried > handled``."""
    runs: list[tuple[str, int]] = []
    for step in steps:
        if runs and runs[-1][0] == step:
            runs[-1] = step, runs[-1][1] + 1
        else:
            runs.append((step, 1))
    return " > ".join(f"{step} x{count}" if count > 1 else step for step, count in runs)
