"""Reconnecting, starting and stopping again and again: nothing is left of it.

Many more of them: ``python -m tests.faults.load reconnects --count 1000``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.load import again
from tests.faults.load.desk import WORKERS
from tests.faults.pairs import Pair

RECONNECTS, WARM = 60, 20
MANAGERS = 40
MORE_THREADS = WORKERS - 1
"""The pool starts a worker when it first needs it."""
MORE_MEMORY = 4.0
"""MiB that so many rounds may add: Python's own caches. A connection that stayed would cost 0.1 MiB each."""


@pytest.mark.timeout(300)
def test_many_reconnects(pair: Pair, tmp_path: Path) -> None:
    """A manager whose connections are cut again and again has no more threads (but for workers), descriptors and memory
    in the end, and hears what was sent in between."""
    found = again.reconnects(pair, RECONNECTS, tmp_path, warm=WARM)
    assert found.growth.threads <= MORE_THREADS, found
    assert found.growth.descriptors <= 0, found
    assert found.growth.rss <= MORE_MEMORY, found


@pytest.mark.timeout(300)
def test_many_managers(pair: Pair, tmp_path: Path) -> None:
    """Managers that are started and stopped in one process, ten at a time, leave no thread, descriptor or memory."""
    found = again.managers(pair, MANAGERS, tmp_path, alive=10)
    assert found.growth.threads <= 0, found
    assert found.growth.descriptors <= 0, found
    assert found.growth.rss <= MORE_MEMORY, found
