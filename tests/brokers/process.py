"""One broker process: started in its own group, watched while it starts, and never outliving the tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Reads until the tests' end of the pipe is gone, however they ended, then takes the broker with it.
_GUARD = 'cat >/dev/null; kill -s KILL -- "-$1"; rm -rf -- "$2"'


class BrokerFailed(Exception):
    """The broker was started and did not become ready, or did not end; the text shows the end of its log."""


class BrokerProcess:
    """A started broker. Not thread-safe: the test that holds the broker drives it."""

    def __init__(self, command: Sequence[str], *, log: Path, directory: Path, env: Mapping[str, str]) -> None:
        self._log = log
        with open(log, "ab") as output:
            self._start_of_log = output.tell()
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env={**os.environ, **env},
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "broker-guard", str(self._process.pid), str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def __repr__(self) -> str:
        state = "running" if self.running else f"ended with {self._process.returncode}"
        return f"<BrokerProcess pid={self.pid} {state}>"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def guard_fd(self) -> int | None:
        """The pipe whose end the guard waits for; open as long as the broker runs."""
        pipe = self._guard.stdin
        return None if pipe is None or pipe.closed else pipe.fileno()

    def wait_until_ready(self, pattern: str, timeout: float) -> None:
        """Return once a line of the log matches; an early end or the deadline is a BrokerFailed."""
        deadline = time.monotonic() + timeout
        ready = re.compile(pattern)
        while not ready.search(self._read_log()):
            try:
                self._process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
                reason = f"was not ready within {timeout:.0f} s"
            else:
                reason = f"ended early with {self._process.returncode}"
            self.end(signal.SIGKILL, 10)
            raise BrokerFailed(f"the broker {reason}; its log ends with:\n{self.log_tail()}")

    def end(self, first: signal.Signals, timeout: float) -> None:
        """Signal the whole group and wait for the broker; whoever does not heed SIGTERM in time is killed."""
        self._signal(first)
        try:
            self._process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait(timeout=10)
        self._signal(signal.SIGKILL)  # children that outlive their parent
        self._guard.kill()
        self._guard.wait(timeout=10)
        if self._guard.stdin is not None:
            self._guard.stdin.close()

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self._read_log().splitlines()[-lines:])

    def _read_log(self) -> str:
        with open(self._log, "rb") as stream:
            stream.seek(self._start_of_log)
            return stream.read().decode("utf-8", "replace")

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return
