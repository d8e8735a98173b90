"""Short conversations with a broker, over a connection of their own, in the caller's thread.

A refused request ends its connection on most brokers; nothing else must be on it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

from aspyx_event.providers.stomp.channel import Opener
from aspyx_event.providers.stomp.link import Link, Message
from aspyx_event.timing import Deadline

_GOODBYE = 2.0


class Session:
    """A connection that belongs to the calling thread."""

    def __init__(self, link: Link, deadline: Deadline) -> None:
        self.link = link
        self.deadline = deadline
        self._arrived: deque[Message] = deque()

    def ask(self, command: str, headers: dict[str, str], body: bytes = b"", *, what: str = "") -> None:
        """Send a frame and wait for its receipt. Raises ErrorFrame, LinkLost, ProviderUnavailable."""
        self.link.wait(self.link.ask(command, headers, body), self.deadline, what or command)

    def subscribe(
        self, destination: str, headers: dict[str, str], *, ack: str = "client-individual", name: str = "s"
    ) -> None:
        """Subscribe under an id and wait for the receipt; messages come out of ``next``."""
        self.link.consume(name, self._on_messages)
        self.ask("SUBSCRIBE", {**headers, "destination": destination, "id": name, "ack": ack}, what=destination)

    def next(self, patience: float) -> Message | None:
        """The next message; None when none came for so many seconds, or the deadline passed. Raises LinkLost."""
        patient = Deadline(patience)
        while not self._arrived:
            left = patient.left() or 0.0
            total = self.deadline.left()
            left = left if total is None else min(left, total)
            if left <= 0:
                break
            if not self.link.pump(left) and not self._arrived:
                raise self.link.error
        return self._arrived.popleft() if self._arrived else None

    def _on_messages(self, messages: list[Message]) -> None:
        self._arrived += messages
        self.link.wake()


class Sessions:
    """Opens sessions. Thread-safe."""

    def __init__(self, opener: Opener, name: str) -> None:
        self._opener = opener
        self._name = name
        self._stop = threading.Event()

    def open(self, deadline: Deadline) -> Session:
        """A session; the caller closes its link. Raises what connecting raises."""
        return Session(self._opener.open(self._name, stop=self._stop, timeout=deadline.left()), deadline)

    @contextmanager
    def session(self, deadline: Deadline) -> Iterator[Session]:
        """A session that is closed at the end."""
        session = self.open(deadline)
        try:
            yield session
        finally:
            left: Optional[float] = deadline.left()
            session.link.close(Deadline(_GOODBYE if left is None else min(_GOODBYE, left)))
