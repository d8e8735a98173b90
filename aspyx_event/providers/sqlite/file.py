"""The one connection of an engine, to whatever file has its path."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
import time
from typing import Callable, Optional

from aspyx_event.providers.sqlite.schema import open_file

logger = logging.getLogger(__name__)

_STAT_EVERY = 1.0


class DatabaseFile:
    """Opens when needed, and anew when the file was replaced: ``replaced`` hears of that. All with ``lock`` held.

    A fork waits for the lock, too, and then closes the connection.
    """

    def __init__(self, path: str, replaced: Callable[[], None]) -> None:
        self.path = path
        self.lock = threading.Lock()
        self._replaced = replaced
        self._connection: Optional[sqlite3.Connection] = None
        self._seen: Optional[tuple[int, int]] = None
        self._checked = 0.0

    def connect(self, timeout: float) -> sqlite3.Connection:
        """The connection. Raises what ``open_file`` raises."""
        if self._connection is not None:
            if time.monotonic() - self._checked < _STAT_EVERY:
                return self._connection
            if self._seen == self._now():
                self._checked = time.monotonic()
                return self._connection
        self.disconnect()
        self._connection = open_file(self.path, timeout=timeout)
        found = self._now()
        if self._seen is not None and found != self._seen:
            logger.warning("sqlite: %r was removed or replaced; what was in it is not in the new file", self.path)
            self._replaced()
        self._seen = found
        self._checked = time.monotonic()
        return self._connection

    @property
    def free(self) -> int:
        """Bytes that the disk has left."""
        try:
            return shutil.disk_usage(os.path.dirname(self.path)).free
        except OSError:  # the folder is gone, which shows elsewhere
            return 0

    def disconnect(self) -> None:
        """Close the connection; the next ``connect`` opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                logger.debug("sqlite: closing %r: %s", self.path, error)

    def _now(self) -> Optional[tuple[int, int]]:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino
