"""Processes on one file are killed in the middle of whatever they do."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from aspyx_event.providers.sqlite.identity import own_identity
from aspyx_event.timing import Deadline
from tests.integrations.sqlite.process import TOGETHER
from tests.unit.support import ROOT

ROUNDS = 6
_HELD = 2 * 512
"""Deliveries that a listener may hold when it is killed, handled but not accepted: the largest credit, and a batch."""


class Crowd:
    """Processes in two roles; each is replaced when it is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "events.db"
        self._numbers = itertools.count()
        self._running: dict[int, subprocess.Popen[str]] = {}

    def start(self, role: str) -> int:
        """Another process; returns its number once it is ready."""
        number = next(self._numbers)
        log = self.folder / f"{role}-{number}.log"
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.integrations.sqlite.process", role, str(self.path), str(log)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._running[number] = process
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return number

    def kill(self, number: int) -> None:
        """SIGKILL."""
        process = self._running.pop(number)
        with process:
            process.kill()

    def numbers(self, role: str) -> Counter[str]:
        """What stands in the logs of a role."""
        return Counter(line for log in self.folder.glob(f"{role}-*.log") for line in log.read_text().splitlines())

    def close(self) -> None:
        """Kill all."""
        for number in list(self._running):
            self.kill(number)


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    made = Crowd(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.slow
@pytest.mark.skipif(not own_identity(), reason="elsewhere than on Linux it takes 20 s to notice a killed process")
def test_nothing_confirmed_is_lost(crowd: Crowd) -> None:
    """Senders and listeners are killed one after the other: all that was confirmed is handled, few twice, none left."""
    pause = threading.Event()
    crowd.start("listen")
    listeners = [crowd.start("listen")]
    senders = [crowd.start("send"), crowd.start("send")]
    for round_ in range(ROUNDS):
        pause.wait(0.3 + 0.13 * round_)
        for role, running in (("listen", listeners), ("send", senders)):
            crowd.kill(running.pop(0))
            running.append(crowd.start(role))
    for number in senders:
        crowd.kill(number)
    sent = crowd.numbers("send")
    assert len(sent) > ROUNDS * TOGETHER
    deadline = Deadline(60)
    while set(sent) - set(crowd.numbers("listen")) and not deadline.passed:
        pause.wait(0.2)
    while _left(crowd.path) and not deadline.passed:
        pause.wait(0.2)
    handled = crowd.numbers("listen")
    assert not set(sent) - set(handled)
    assert sum(handled.values()) - len(handled) <= ROUNDS * _HELD
    assert _left(crowd.path) == 0
    with contextlib.closing(sqlite3.connect(crowd.path, timeout=30)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        sessions = connection.execute("SELECT count(*) FROM sessions").fetchone()[0]
    assert sessions <= 2  # of the listeners that run


def _left(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
        return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])
