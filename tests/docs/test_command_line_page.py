"""The page about the command line: its commands print what it says, in its order."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("click")

from tests.docs.pages import DOCS, ROOT, code_blocks

PAGE = DOCS / "how-to" / "command-line.rst"
PATIENCE = 60.0

_BLOCK = re.compile(r"^\.\. code-block:: console\n\n((?:    .*\n|\n)+)", re.MULTILINE)
_ELSEWHERE = "pip install"
_CHANGES = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"server_name=\S+>, \d+ workers"), "server_name=HERE>, N workers"),
    (re.compile(r"(OrderPlaced::billing  )\d+ *"), r"\1N "),
)


def steps() -> list[tuple[str, str]]:
    """Each command of the page, with what it prints there."""
    found: list[tuple[str, str]] = []
    for block in _BLOCK.findall(PAGE.read_text()):
        for line in block.rstrip("\n").split("\n"):
            text = line[4:]
            if text.startswith("$ "):
                found.append((text[2:], ""))
            else:
                found[-1] = (found[-1][0], f"{found[-1][1]}{text}\n")
    return [(command, output) for command, output in found if not command.startswith(_ELSEWHERE)]


def alike(text: str) -> str:
    """Without what differs from run to run: times, names of processes, numbers of cores."""
    for pattern, name in _CHANGES:
        text = pattern.sub(name, text)
    return text.strip()


class Terminal:
    """A shell whose exports stay, and one program that runs in another one."""

    def __init__(self, folder: Path) -> None:
        (folder / "shop.py").write_text(code_blocks(PAGE)[0])
        self.folder = folder
        self.program = f"{shlex.quote(sys.executable)} -W error -m aspyx_event"
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.beside: subprocess.Popen[str] | None = None
        self.log = folder / "listen.txt"

    def run(self, command: str) -> str:
        """What it prints on both streams."""
        if command.startswith("export "):
            name, _, value = command[len("export ") :].partition("=")
            self.environment[name] = value
            return ""
        result = subprocess.run(
            command.replace("aspyx-event ", f"{self.program} "), shell=True, check=False, timeout=PATIENCE,
            cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return result.stdout

    def start(self, command: str, last_line: str) -> str:
        """Start a program that goes on; what it has printed up to this line."""
        with self.log.open("w") as log:
            arguments = [sys.executable, "-W", "error", "-m", "aspyx_event", *shlex.split(command)[1:]]
            self.beside = subprocess.Popen(arguments, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        return self.wait_for(last_line)

    def wait_for(self, text: str) -> str:
        """Wait until the program beside has printed this."""
        deadline, pause = time.monotonic() + PATIENCE, threading.Event()
        while text not in (seen := self.log.read_text()):
            assert time.monotonic() < deadline, seen
            pause.wait(0.05)
        return seen

    def stop(self) -> int:
        """Ctrl-C for the program beside."""
        assert self.beside is not None
        self.beside.send_signal(signal.SIGINT)
        return self.beside.wait(PATIENCE)

    def close(self) -> None:
        """End it, if it still runs."""
        if self.beside is not None and self.beside.poll() is None:
            self.beside.kill()
            self.beside.wait(PATIENCE)


@pytest.mark.slow
def test_the_page_is_what_happens(tmp_path: Path) -> None:
    """Typed in order, each command prints what the page says; listen runs beside the others until Ctrl-C."""
    terminal = Terminal(tmp_path)
    dead = 0
    try:
        for command, expected in steps():
            if " listen " in command:
                assert alike(terminal.start(command, "listening; Ctrl-C ends it\n")) == alike(expected)
                continue
            assert alike(terminal.run(command)) == alike(expected), command
            if "order-2 --header" in command or "replay" in command:  # a reader is slower than a listener
                dead += 1
                terminal.wait_for(f"{2 * dead} attempts failed, {dead} in the error queue")
        assert terminal.stop() == 0, terminal.log.read_text()
    finally:
        terminal.close()
    last = terminal.log.read_text().splitlines()[-1]
    assert "stopped: billing 1 handled, 4 attempts failed, 2 in the error queue" in last


def test_the_page_names_every_option_and_code() -> None:
    """The settings of the page are those there are, and so are the exit codes."""
    from aspyx_event.cli import codes
    from aspyx_event.cli.config import KEYS

    text = PAGE.read_text()
    for key in KEYS:
        assert f"``ASPYX_EVENT_{key.upper()}``" in text
        assert key == "password" or f"``--{key.replace('_', '-')}``" in text
    for code in (codes.OK, codes.FOUND, codes.WRONG, codes.NO_ANSWER, codes.INTERRUPTED):
        assert re.search(rf"^{code} +\w", text, re.MULTILINE)
