"""Starts a program in a process group of its own, and sees to it that nothing of it outlives the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.faults.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]


class Program:
    """``python -m module arguments``, as a context manager. Its output, both kinds of it, goes to a file."""

    def __init__(
        self,
        output: Path,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        directory: Path = ROOT,
    ) -> None:
        self.output = output
        with open(output, "wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The first process of the group."""
        return self._process.pid

    @property
    def text(self) -> str:
        """What it has written so far."""
        return self.output.read_text(errors="replace")

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until it has written a text so many times; a program that ends before that is a failure."""

        def written() -> bool:
            ended = self._process.poll() is not None
            if self.text.count(text) >= count:
                return True
            assert not ended, f"ended with {self._process.returncode}:\n{self.text}"
            return False

        wait_until(written, f"{text!r} in {self.text}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the first process alone."""
        self._process.send_signal(number)

    def ended(self, timeout: float) -> int:
        """The exit code; a program that does not end in time is a failure."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {timeout:g} s:\n{self.text}") from None

    def group_is_gone(self) -> bool:
        """Whether no process of its group is left."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        clean = self._process.poll() is not None and self.group_is_gone()
        if not clean:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait(10)
        assert clean or error is not None, f"processes were left behind:\n{self.text}"
