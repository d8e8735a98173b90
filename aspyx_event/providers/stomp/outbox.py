"""What is to be written: frames of any thread, for the one that owns the connection."""

from __future__ import annotations

import threading
from collections import deque

_CHUNK = 64 * 1024


class Outbox:
    """Encoded frames on their way to the socket. ``put`` never blocks; one thread takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frames: deque[bytes] = deque()
        self._woken = False
        self._waiting = False

    def put(self, frame: bytes) -> None:
        """Add a frame; any thread."""
        self._frames.append(frame)
        # Who takes says that it waits before it looks a last time, so one of the two sees the other. Nearly always it
        # is awake, and no lock is needed.
        if self._waiting:
            with self._changed:
                self._waiting = False
                self._changed.notify()

    def wake(self) -> None:
        """Let ``take`` return at once, now or the next time."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def take(self, timeout: float) -> bytes:
        """Some frames, joined; empty after ``timeout`` seconds or ``wake``."""
        if not self._frames:
            self._wait(timeout)
        self._woken = False
        frames, size = [], 0
        while self._frames and size < _CHUNK:
            frames.append(self._frames.popleft())
            size += len(frames[-1])
        return b"".join(frames)

    def _wait(self, timeout: float) -> None:
        with self._changed:
            self._waiting = True
            if not self._frames and not self._woken:
                self._changed.wait(timeout)
            self._waiting = False
