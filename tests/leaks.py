"""Finds threads and file descriptors that a test leaves behind."""

from __future__ import annotations

import gc
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.brokers.base import broker_descriptors

_DESCRIPTORS = Path("/proc/self/fd")
_WAITABLE = ("socket:", "pipe:", "anon_inode:")
_GRACE = 3.0


@dataclass(frozen=True)
class Resources:
    """The threads and descriptors of this process at one moment."""

    threads: frozenset[threading.Thread]
    descriptors: frozenset[tuple[int, str]]

    @classmethod
    def now(cls) -> Resources:
        """Take stock. Plain files are left to Python's own ResourceWarning, which is an error here."""
        return cls(frozenset(threading.enumerate()), frozenset(_descriptors()))


def leaked_since(before: Resources) -> list[str]:
    """Return what is there now and was not `before`, after a short grace for what is just ending."""
    deadline = time.monotonic() + _GRACE
    pause = threading.Event()
    for thread in set(threading.enumerate()) - before.threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
    while True:
        now = Resources.now()
        threads = [repr(thread) for thread in now.threads - before.threads if thread.is_alive()]
        descriptors = [f"fd {number} {target}" for number, target in now.descriptors - before.descriptors]
        # A descriptor that was closed and opened again for the same purpose is a change, no leak.
        grown = len(now.descriptors) > len(before.descriptors)
        leaks = sorted(threads) + (sorted(descriptors) if grown else [])
        if not leaks or time.monotonic() > deadline:
            return leaks
        gc.collect()
        pause.wait(0.05)


def _descriptors() -> list[tuple[int, str]]:
    found = []
    ours = broker_descriptors()
    for number in os.listdir(_DESCRIPTORS) if _DESCRIPTORS.is_dir() else []:
        try:
            target = os.readlink(_DESCRIPTORS / number)
        except OSError:
            continue
        if target.startswith(_WAITABLE) and int(number) not in ours:
            found.append((int(number), target))
    return found
