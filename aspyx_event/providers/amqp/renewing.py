"""Copies in the place of messages that the broker would soon take away for having come back too often."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from typing import Callable, Optional

from aspyx_event.provider import Confirmation
from aspyx_event.providers.amqp import mapping
from aspyx_event.providers.amqp.delivery import Forward


class Renewals:
    """The copies under way. Thread-safe."""

    def __init__(self, forward: Forward, limit: Callable[[], Optional[int]]) -> None:
        self._forward = forward
        self._limit = limit
        self._open: set[Confirmation[None]] = set()
        self._lock = threading.Lock()

    def renew(self, data: bytes, queue: str, done: Callable[[bool], None]) -> bool:
        """Send an unchanged copy to the end of its queue; ``done`` hears whether it is there.

        False when the message came back so seldom that it needs none.
        """
        limit = self._limit()
        if limit is None or mapping.acquisitions(data) < limit:
            return False
        copy = self._forward(data, queue, mapping.decode(data, received_at=0).wire_headers, 0)
        with self._lock:
            self._open.add(copy)

        def confirmed(copy: Confirmation[None]) -> None:
            done(not copy.cancelled() and copy.exception() is None)
            with self._lock:
                self._open.discard(copy)

        copy.add_done_callback(confirmed)
        return True

    def finish(self, timeout: float | None) -> None:
        """Wait for the copies under way, so that no original goes back along with its copy."""
        with self._lock:
            copies = list(self._open)
        wait(copies, timeout)
