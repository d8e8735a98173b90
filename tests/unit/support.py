"""What the unit tests share: collecting, waiting with a deadline, and managers on LocalProvider."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Generic, TypeVar

from aspyx_event import EventManager, EventRegistry, LocalProvider, RetryPolicy

T = TypeVar("T")

DEADLINE = 15.0
"""Seconds after which a test gives up waiting; a busy machine needs some."""

ONCE = RetryPolicy(immediate=0, delayed=())
"""One attempt, no second."""
ROOT = Path(__file__).resolve().parents[2]


class Collected(Generic[T]):
    """A list that one can wait for. Call it to add something. Thread-safe."""

    def __init__(self) -> None:
        self._items: list[T] = []
        self._changed = threading.Condition()

    def __call__(self, item: T) -> None:
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    @property
    def items(self) -> list[T]:
        with self._changed:
            return list(self._items)

    def wait(self, count: int = 1) -> list[T]:
        """The items, as soon as there are ``count``; a failure after the deadline."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._items) >= count, DEADLINE):
                raise AssertionError(f"{len(self._items)} of {count} came within {DEADLINE} s: {self._items}")
            return list(self._items)

    def wait_until(self, predicate: Callable[[list[T]], Any]) -> list[T]:
        """The items, as soon as they fulfil the predicate; a failure after the deadline."""
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self._items), DEADLINE):
                raise AssertionError(f"not within {DEADLINE} s: {self._items}")
            return list(self._items)


class Gate:
    """A place where a listener waits until the test lets it go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def hold(self) -> None:
        """For the listener: say that it is here, and wait."""
        self.reached.set()
        if not self._open.wait(DEADLINE):
            raise AssertionError("nobody opened the gate")

    def open(self) -> None:
        """For the test."""
        self._open.set()

    def wait_reached(self) -> None:
        """For the test: until the listener is here."""
        assert self.reached.wait(DEADLINE), "nobody came to the gate"


@contextlib.contextmanager
def often_switched() -> Iterator[None]:
    """Threads come between each other nearly everywhere."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class BrokenHandler(logging.Handler):
    """A handler of the log that raises OSError."""

    def emit(self, record: logging.LogRecord) -> None:
        raise OSError(record.msg)


@contextlib.contextmanager
def broken_log(logger: logging.Logger) -> Iterator[None]:
    """Whatever is logged there raises."""
    handler = BrokenHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextlib.contextmanager
def managed(*things: Any, provider: Any = None, start: bool = True, **options: Any) -> Iterator[EventManager]:
    """A started manager whose registry holds ``things``; stopped in the end."""
    options.setdefault("retry", ONCE)
    options.setdefault("workers", 4)
    manager = EventManager(provider or LocalProvider(), registry=EventRegistry().register(*things), **options)
    if start:
        manager.start()
    try:
        yield manager
    finally:
        manager.stop(DEADLINE)


def run_script(
    source: str, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python source in a process of its own; a process that does not end is a failure."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", source, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
    )
