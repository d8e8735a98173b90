"""A socket that one thread reads and another one writes, plain or over TLS."""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Optional

READ_SIZE = 64 * 1024

_READABLE, _WRITABLE = selectors.EVENT_READ, selectors.EVENT_WRITE
# Poll and select hold no descriptor of their own, epoll would.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Stream:
    """Bytes in and out of a non-blocking socket. ``read`` and ``write`` belong to one thread each, ``close`` to any.

    A TLS session is not safe for two threads at once, so each operation on it holds a lock; none of them waits while
    it holds it. That is why the socket does not block. A plain socket needs no lock.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._plain = not isinstance(sock, ssl.SSLSocket)
        self._lock: AbstractContextManager[Any] = nullcontext() if self._plain else threading.Lock()
        self._readable = _Selector()
        self._readable.register(sock, _READABLE)
        self._empty = False
        """Whether a plain socket has just given less than was asked for: then there is nothing more yet."""
        self._closed = False
        self._disposed = False
        self.heard_at = time.monotonic()
        """When something was last read, on the monotonic clock."""

    @property
    def closed(self) -> bool:
        """Whether it was closed here. A close by the other side shows in ``read``."""
        return self._closed

    def read(self) -> bytes:
        """Wait for bytes. Empty: the other side closed, or ``close`` was called."""
        while not self._closed:
            if self._empty:
                self._empty = False
                self._wait_to_read()
            try:
                with self._lock:
                    data = self._sock.recv(READ_SIZE)
                self._empty = self._plain and len(data) < READ_SIZE
                self.heard_at = time.monotonic()
                return data
            except (BlockingIOError, InterruptedError, ssl.SSLWantReadError):
                self._wait_to_read()
            except ssl.SSLWantWriteError:
                self._wait(_WRITABLE, None)
            except (OSError, ValueError):
                return b""
        return b""

    def write(self, data: memoryview, timeout: float) -> int:
        """Write what can be written, waiting at most ``timeout`` seconds; answers the number of bytes. Raises OSError.

        What is left must come first the next time: TLS demands the same bytes again.
        """
        try:
            with self._lock:
                return self._sock.send(data)
        except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError):
            self._wait(_WRITABLE, timeout)
        except ssl.SSLWantReadError:
            self._wait(_READABLE, timeout)
        except ValueError as error:  # a TLS socket that was closed meanwhile
            raise OSError("the socket is closed") from error
        return 0

    def close(self) -> None:
        """End both directions; wakes ``read``. The descriptor lives until ``dispose``, so that no other can get it."""
        self._closed = True
        try:
            # Not the TLS socket's own shutdown: it would take the session away from a thread that is in it.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        except OSError:
            return

    def dispose(self) -> None:
        """Give the descriptor back. Called once nobody reads or writes any more."""
        self._closed = True
        with self._lock:
            if not self._disposed:
                self._disposed = True
                self._sock.close()

    def _wait_to_read(self) -> None:
        try:
            self._readable.select()
        except (OSError, ValueError):
            return

    def _wait(self, events: int, timeout: Optional[float]) -> None:
        with _Selector() as selector:
            try:
                selector.register(self._sock, events)
                selector.select(timeout)
            except (OSError, ValueError, KeyError):
                return
