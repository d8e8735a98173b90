"""Forks: no connection to SQLite may be open in the process that is copied.

Its locks belong to a process, but a copy of the library's memory believes to hold them: what the child writes then
damages the file, and closing it there is no better. So whoever forks waits for running transactions, and closes; the
parent opens again.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

from aspyx_event.providers.sqlite.file import DatabaseFile


class Forkable(Protocol):
    """An engine, as a fork sees it."""

    @property
    def file(self) -> DatabaseFile:
        """Its file."""
        ...

    def inherited(self) -> None:
        """In the child: it is of no use here."""


_all: weakref.WeakSet[Forkable] = weakref.WeakSet()
_guard = threading.Lock()
_held = threading.local()


def watch(engine: Forkable) -> None:
    """From here on a fork closes its connection."""
    with _guard:
        _all.add(engine)


def _before() -> None:
    _guard.acquire()
    _held.engines = sorted(_all, key=id)
    for engine in _held.engines:
        engine.file.lock.acquire()
        engine.file.disconnect()


def _in_parent() -> None:
    for engine in _held.engines:
        engine.file.lock.release()
    _held.engines = []
    _guard.release()


def _in_child() -> None:
    engines = _held.engines
    _in_parent()
    for engine in engines:
        _all.discard(engine)
        engine.inherited()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
