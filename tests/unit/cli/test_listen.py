"""``listen`` as a process: what it shows, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

import pytest

pytest.importorskip("click")

from tests.unit.support import ROOT

PATIENCE = 60.0

APPLICATION = """
import threading
from dataclasses import dataclass

from aspyx_event import EventManager, EventRegistry, RetryPolicy, event, event_listener


@event(durable=True)
@dataclass
class Ordered:
    id: int


@event_listener(Ordered, retry=RetryPolicy(immediate=0, delayed=()))
def billing(event):
    if event.id == 0:
        raise ValueError("no such order")


@event_listener(Ordered)
def hanging(event):
    print("it hangs", flush=True)
    threading.Event().wait()


def started_with(listener):
    manager = EventManager("local://", registry=EventRegistry().register(listener))

    def send():
        while not manager.health().live:
            threading.Event().wait(0.02)
        for number in range(3):
            manager.send_event(Ordered(number))

    threading.Thread(target=send, daemon=True).start()
    return manager


def make():
    return started_with(billing)


def make_hanging():
    return started_with(hanging)
"""


@contextmanager
def listening(folder: Path, target: str, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The process; ended, if it still runs then."""
    (folder / "orders.py").write_text(APPLICATION)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "aspyx_event", "listen", f"orders:{target}", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "150"},
        text=True,
        **options,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def lines_until(process: subprocess.Popen[str], found: Callable[[str], bool]) -> list[str]:
    """The lines of its output, up to the first that is meant."""
    lines: list[str] = []
    for line in process.stdout or ():
        lines.append(line)
        if found(line):
            return lines
    raise AssertionError("".join(lines) + (process.stderr.read() if process.stderr else ""))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_tells_and_stops(number: int, tmp_path: Path) -> None:
    """The table of what is wired to what, counters when they change, and a last line; then exit code 0."""
    with listening(tmp_path, "make", "--every", "0.1") as process:
        lines = lines_until(process, lambda line: "billing 2 handled" in line)
        process.send_signal(number)
        rest, errors = process.communicate(timeout=PATIENCE)
    output = "".join(lines)
    assert process.returncode == 0, errors
    assert "Ordered::billing" in output
    assert "listening; Ctrl-C ends it\n" in output
    assert rest.splitlines()[-1][9:] == "stopped: billing 2 handled, 1 attempts failed, 1 in the error queue"
    assert "is in the error queue after 1 attempts" in errors, "the log goes to stderr"


def test_for_scripts(tmp_path: Path) -> None:
    """A JSON object on each line: the wiring, counters, and the last word."""
    with listening(tmp_path, "make", "--every", "0.1", "--json") as process:
        lines = lines_until(process, lambda line: '"handled": 2' in line)
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=PATIENCE)
    found = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    assert [one["state"] for one in (found[0], found[1], found[-1])] == ["listening", "listening", "stopped"]
    assert found[0]["wiring"][0]["queue"] == "Ordered::billing"
    numbers = found[-1]["listeners"]["billing"]
    assert (numbers["handled"], numbers["failed_attempts"], numbers["dead_lettered"]) == (2, 1, 1)


def test_a_listener_that_does_not_return(tmp_path: Path) -> None:
    """After --stop-timeout the process leaves without it: exit code 70, and its stack in the log."""
    with listening(tmp_path, "make_hanging", "--stop-timeout", "0.3", "--every", "0.1", "--json") as process:
        lines_until(process, lambda line: line == "it hangs\n")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 70
    assert "in hanging" in errors


def test_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal the counters are a table that changes in its place, and the cursor is there again at the end."""
    pytest.importorskip("rich")
    master, slave = pty.openpty()
    seen = b""
    try:
        with listening(tmp_path, "make", stdout=slave, stderr=slave) as process:
            os.close(slave)
            while b"dead letters" not in seen or b"\xe2\x94\x82 2 " not in seen:
                seen += os.read(master, 65536)
            process.send_signal(signal.SIGINT)
            try:
                while piece := os.read(master, 65536):
                    seen += piece
            except OSError:  # Linux says so when the other side is closed
                pass
            assert process.wait(PATIENCE) == 0
    finally:
        os.close(master)
    text = seen.decode()
    assert text.count("failed attempts") > 1
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0
    assert "stopped: billing 2 handled" in text
