"""Sending in the background while something breaks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from aspyx_event.exceptions import ProviderError, SendEventsError
from aspyx_event.manager import EventManager


class Sending:
    """``send_events`` in a thread. ``singly``: one ``send_event`` after the other instead."""

    def __init__(
        self, manager: EventManager, events: Sequence[Any], *, singly: bool = False, timeout: float = 60
    ) -> None:
        self._manager = manager
        self._events = events
        self._timeout = timeout
        self._failed: list[Any] = []
        self._thread = threading.Thread(target=self._singly if singly else self._together, name="sending")
        self._thread.start()

    def failed(self) -> list[Any]:
        """The events that were not confirmed, once all are through."""
        self._thread.join(self._timeout + 30)
        assert not self._thread.is_alive(), "sending does not end"
        return self._failed

    def _together(self) -> None:
        try:
            self._manager.send_events(self._events, timeout=self._timeout)
        except SendEventsError as error:
            self._failed = [failure.event for failure in error.failed]

    def _singly(self) -> None:
        for event in self._events:
            try:
                self._manager.send_event(event, timeout=self._timeout)
            except ProviderError:
                self._failed.append(event)
