"""The test project as processes: its commands, its web servers, its database."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Callable

ROOT = Path(__file__).parents[3]
SHOP = Path(__file__).parent / "shop"
PATIENCE = 60.0


class Program:
    """A process in a group of its own; keeps what it writes. `close` ends all of it."""

    def __init__(self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str, *, count: int = 1) -> None:
        """Wait until lines with this text were written; an end without them fails."""
        with self._changed:
            done = self._changed.wait_for(lambda: self.count(text) >= count or self._ended, PATIENCE)
        assert done, f"no {text!r} within {PATIENCE:g} s:\n{self.output}"
        assert self.count(text) >= count, f"it ended without {text!r}:\n{self.output}"

    def count(self, text: str) -> int:
        """How many lines have this text."""
        return sum(text in line for line in self.lines)

    @property
    def output(self) -> str:
        """All that it wrote."""
        return "".join(self.lines)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to the process alone, and wait; its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def close(self) -> None:
        """End what still runs of it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with self.process:
            self._reader.join(PATIENCE)

    def _read(self) -> None:
        for line in self.process.stdout or ():
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Project:
    """A folder with the project's database; commands run in it. Use it as a context manager."""

    def __init__(self, directory: Path, *, url: str = "local://", database: str = "") -> None:
        self.directory = directory
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "error",
            "SHOP_DIRECTORY": str(directory),
            "SHOP_DATABASE": database,
            "ASPYX_EVENT_URL": url,
            "DJANGO_SETTINGS_MODULE": "tests.integrations.django.shop.settings",
        }
        self._database = database
        self._programs: list[Program] = []

    def start(self, *command: str) -> Program:
        """Start a Python module or script with these arguments."""
        program = Program([sys.executable, *command], cwd=self.directory, environment=self.environment)
        self._programs.append(program)
        return program

    def manage(self, *arguments: str) -> Program:
        """Start a command of manage.py."""
        return self.start(str(SHOP / "manage.py"), *arguments)

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command of manage.py to its end: what it wrote to stdout; to stderr as well where it fails."""
        done = subprocess.run(
            [sys.executable, str(SHOP / "manage.py"), *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == code, f"{arguments}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if code else "")

    def migrate(self) -> None:
        """Make the tables, and on PostgreSQL the databases."""
        if self._database:
            for name in ("default", "archive"):
                self.query(f'CREATE DATABASE "{name}"', name="postgres")
        self.run("migrate", "--verbosity", "0")

    def query(self, sql: str, *, name: str = "default") -> list[Any]:
        """The rows that a statement answers, in a connection of its own."""
        connection: Any
        if self._database:
            import psycopg

            connection = psycopg.connect(f"{self._database}/{name}", autocommit=True)
        else:
            connection = sqlite3.connect(self.directory / f"{name}.sqlite3", timeout=PATIENCE)
        with closing(connection), closing(connection.cursor()) as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def add_app(self, name: str, module: str, code: str) -> Path:
        """Install an app that has this one module; its file."""
        folder = self.directory / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / f"{module}.py").write_text(code)
        self.environment["SHOP_APPS"] = name
        self.environment["PYTHONPATH"] = os.pathsep.join([str(self.directory), str(ROOT)])
        return folder / f"{module}.py"

    def close(self) -> None:
        """End all processes."""
        for program in self._programs:
            program.close()

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def get(url: str) -> str:
    """The text of a page; a server that is not there yet is waited for."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{url}: {error.code}\n{error.read().decode()[-3000:]}") from None
        except OSError:
            if time.monotonic() > deadline:
                raise
            pause.wait(0.1)


def wait_until(what: str, true: Callable[[], bool]) -> None:
    """Ask again and again until it is true."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not true():
        assert time.monotonic() < deadline, f"waited {PATIENCE:g} s for {what}"
        pause.wait(0.05)
