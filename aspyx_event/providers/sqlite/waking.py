"""How the provider's thread is woken: by threads of its own process, and by other processes.

After a commit a process calls those that read the queues concerned, with a datagram to a port of the loopback
interface. A call says nothing but "look"; one that gets lost costs time, because everybody looks now and then.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterable

_CALL = b"look"
_LOOPBACK = "127.0.0.1"
_READ = 4096


class Waker:
    """A thread waits here. ``wake`` and ``call`` are thread-safe."""

    def __init__(self) -> None:
        self._own, self._others_end = socket.socketpair()
        self._calls = _bound()
        self._lock = threading.Lock()
        self._woken = False
        self._closed = False
        self._selector = selectors.DefaultSelector()
        for one in (self._own, self._others_end):
            one.setblocking(False)
        self._selector.register(self._own, selectors.EVENT_READ)
        if self._calls is not None:
            self._selector.register(self._calls, selectors.EVENT_READ)

    @property
    def port(self) -> int:
        """Where other processes call; 0: they cannot."""
        return 0 if self._calls is None else int(self._calls.getsockname()[1])

    def wake(self) -> None:
        """End the wait, or the next one. One byte for each burst."""
        with self._lock:
            if self._woken or self._closed:
                return
            self._woken = True
            with contextlib.suppress(OSError):
                self._others_end.send(b"\0")

    def call(self, ports: Iterable[int]) -> None:
        """Wake other processes."""
        for port in ports:
            if self._calls is not None and port:
                with contextlib.suppress(OSError):
                    self._calls.sendto(_CALL, (_LOOPBACK, port))

    def wait(self, timeout: float | None) -> bool:
        """Wait until somebody wakes this thread, or ``timeout`` seconds. Returns whether another process called."""
        called = False
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._own:
                with self._lock:
                    self._woken = False
                    with contextlib.suppress(OSError):
                        self._own.recv(_READ)
            else:
                called = True
                self._drain()
        return called

    def _drain(self) -> None:
        assert self._calls is not None
        with contextlib.suppress(OSError):
            for _ in range(1000):
                self._calls.recv(_READ)

    def close(self) -> None:
        """Close the sockets; not while somebody waits."""
        with self._lock:
            self._closed = True
        self.abandon()

    def abandon(self) -> None:
        """In a child, after a fork, where the lock may be held by a thread that is not there."""
        self._closed = True
        self._selector.close()
        for one in (self._own, self._others_end, self._calls):
            if one is not None:
                one.close()


def _bound() -> socket.socket | None:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.bind((_LOOPBACK, 0))
    except OSError:  # no loopback interface: others look now and then, and so do we
        made.close()
        return None
    return made
