"""What a provider reports about its connection and its queues: one log line for each change, and no flood."""

from __future__ import annotations

import functools
import logging
import threading
import time
from typing import Optional

from aspyx_event.delivery.dispatcher import Dispatcher
from aspyx_event.exception_manager import ExceptionManager
from aspyx_event.exceptions import EventError
from aspyx_event.provider import Provider, ProviderState
from aspyx_event.timing import Scheduler

logger = logging.getLogger(__name__)

REMIND_EVERY = 60.0
"""Seconds after which a connection that stays away, or a queue whose refusal reads differently, has another line."""


class Reports:
    """Logs changes and lets the exception handlers see every failure, on a thread of its own. Thread-safe."""

    def __init__(self, provider: Provider, exceptions: ExceptionManager) -> None:
        self.dispatcher: Optional[Dispatcher] = None
        self._provider = provider
        self._exceptions = exceptions
        self._later = Scheduler("aspyx-reports")
        self._lock = threading.Lock()
        self._connected: Optional[bool] = None
        self._since = time.monotonic()
        self._kinds: set[type] = set()
        self._said_at = 0.0
        self._refused: dict[str, tuple[str, float]] = {}

    def on_state(self, state: ProviderState) -> None:
        """For ``Provider.start``. Called by the provider's threads."""
        with self._lock:  # two changes at once must not be logged in the wrong order
            if state.queue is not None:
                self._about_queue(state.queue, state.error)
            elif state.connected:
                self._is_there()
            else:
                self._is_away(state.error)
        if isinstance(state.error, EventError):  # somebody's code, which may block: not on the provider's thread
            self._later.call_later(0, functools.partial(self._handle, state.error))

    def _handle(self, error: EventError) -> None:
        self._exceptions.handle(error)

    def close(self, timeout: float) -> None:
        """After the provider's end: no more reports to the exception handlers."""
        self._later.close(timeout)

    def _is_there(self) -> None:
        if self._connected is None:
            logger.info("%r is connected", self._provider)
        elif not self._connected:
            logger.info("%r is connected again after %.0f s", self._provider, time.monotonic() - self._since)
        self._connected = True

    def _is_away(self, error: Optional[BaseException]) -> None:
        now, reason = time.monotonic(), error or "no reason given"
        if self._connected:
            self._connected, self._since, self._kinds = False, now, set()
            logger.warning("%r lost its connection: %s", self._provider, reason)
        elif type(error) not in self._kinds or now - self._said_at >= REMIND_EVERY:
            again = "yet" if self._connected is None else f"for {now - self._since:.0f} s"
            logger.warning("%r has no connection %s, and goes on trying: %s", self._provider, again, reason)
        else:
            return
        self._said_at = now
        self._kinds.add(type(error))  # "wrong password" after "refused" is news; several connections may take turns

    def _about_queue(self, queue: str, error: Optional[BaseException]) -> None:
        names = self.dispatcher.set_detached(queue, error) if self.dispatcher is not None else []
        who = f"listener {', '.join(names)}" if names else f"queue {queue}"
        known = self._refused.pop(queue, None)
        if error is None:
            if known is not None:
                logger.info("%s is attached again", who)
            return
        text, now = str(error), time.monotonic()
        if known is not None and (known[0] == text or now - known[1] < REMIND_EVERY):
            self._refused[queue] = known
            return
        self._refused[queue] = text, now
        logger.warning("%s is detached, and tried again until it works: %s", who, text)
