"""Progress and status, on terminals and elsewhere."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys

import pytest

from aspyx_event.cli.screen import LONG, PlainScreen
from tests.unit.support import ROOT

SCRIPT = """
import sys
from aspyx_event.cli.screen import screen

with screen(plain="plain" in sys.argv).progress("replayed", int(sys.argv[1])) as step:
    for _ in range(int(sys.argv[1])):
        step()
"""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown_on_a_terminal(*arguments: str) -> str:
    """What the script shows on a terminal's stderr."""
    master, slave = pty.openpty()
    try:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SCRIPT, *arguments], stderr=slave, env=environment
        )
        os.close(slave)
        seen = b""
        try:
            while piece := os.read(master, 65536):
                seen += piece
        except OSError:  # Linux says so when the other side is closed
            pass
        assert process.wait(60) == 0, seen
        return seen.decode()
    finally:
        os.close(master)


def test_plain_progress() -> None:
    """A long loop is counted in one line of a terminal; a short one, and a file, show nothing."""
    terminal, file = Terminal(), io.StringIO()
    for stream, total in ((terminal, LONG), (Terminal(), LONG - 1), (file, LONG)):
        with PlainScreen(io.StringIO(), stream).progress("replayed", total) as step:
            for _ in range(total):
                step()
    assert terminal.getvalue().endswith(f"\rreplayed: {LONG} of {LONG}\n")
    assert file.getvalue() == ""


@pytest.mark.parametrize("screen", ["plain", "rich"])
def test_progress_on_a_terminal(screen: str) -> None:
    """A real terminal sees the loop come to its end, with rich and without."""
    if screen == "rich":
        pytest.importorskip("rich")
    text = shown_on_a_terminal("40", screen)
    assert "replayed" in text
    assert ("40 of 40" if screen == "plain" else "40/40") in text
    assert shown_on_a_terminal("3", screen) == ""


def test_plain_text_is_not_taken_back() -> None:
    """Where nothing can be shown in its place again, there is no status."""
    with PlainScreen(io.StringIO()).status() as show:
        assert show is None
