"""What listeners saw, for tests that wait for it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Callable, Optional

from aspyx_event.envelope import Envelope, current_envelope
from aspyx_event.timing import Deadline


@dataclass(frozen=True)
class Handled:
    """One call of a listener. ``at`` is monotonic."""

    listener: str
    number: int
    event: Any
    envelope: Envelope
    at: float

    @property
    def id(self) -> str:
        """The event's id."""
        return self.envelope.id

    @property
    def attempt(self) -> int:
        """The number of the attempt."""
        return self.envelope.attempt


class Recorder:
    """Collects calls of listeners. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: list[Handled] = []

    def record(self, listener: str, event: Any) -> Handled:
        """Called by a listener: note event and envelope."""
        envelope = current_envelope()
        assert envelope is not None, "a listener runs with a current envelope"
        call = Handled(listener, event.number, event, envelope, time.monotonic())
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()
        return call

    @property
    def calls(self) -> list[Handled]:
        """All calls so far."""
        with self._changed:
            return list(self._calls)

    def of(self, listener: str) -> list[Handled]:
        """The calls of one listener."""
        return [call for call in self.calls if call.listener == listener]

    def numbers(self, listener: Optional[str] = None) -> Counter[int]:
        """How often each number was handled."""
        return Counter(call.number for call in self.calls if listener in (None, call.listener))

    def wait(self, count: int, *, timeout: float = 30.0) -> list[Handled]:
        """Wait for so many calls; fails with what came instead."""
        return self.wait_until(lambda calls: len(calls) >= count, f"{count} calls", timeout=timeout)

    def wait_until(
        self, fulfilled: Callable[[list[Handled]], bool], what: str, *, timeout: float = 30.0
    ) -> list[Handled]:
        """Wait for a condition on all calls."""
        with self._changed:
            came = self._changed.wait_for(lambda: fulfilled(self._calls), timeout)
            assert came, f"no {what} within {timeout} s, but {len(self._calls)} calls"
            return list(self._calls)

    def wait_for_numbers(self, numbers: Iterable[int], *, timeout: float = 30.0) -> None:
        """Wait until each of these numbers was handled; fails with those that were not."""
        missing = set(numbers)

        def complete() -> bool:
            missing.difference_update(call.number for call in self._calls)
            return not missing

        with self._changed:
            came = self._changed.wait_for(complete, timeout)
        assert came, f"not handled within {timeout} s: {sorted(missing)[:20]} of {len(missing)}"

    def assert_quiet(self, seconds: float = 0.3) -> None:
        """Nothing more comes for so long."""
        with self._changed:
            before = len(self._calls)
            assert not self._changed.wait_for(lambda: len(self._calls) > before, seconds), "an unexpected call"

    def wait_for_quiet(self, seconds: float = 1.0, *, timeout: float = 30.0) -> None:
        """Wait until nothing has come for so long; fails when it never gets quiet."""
        deadline = Deadline(timeout)
        with self._changed:
            while not deadline.passed:
                before = len(self._calls)
                if not self._changed.wait_for(lambda: len(self._calls) > before, seconds):  # noqa: B023 - used at once
                    return
        raise AssertionError(f"calls still come after {timeout} s")
