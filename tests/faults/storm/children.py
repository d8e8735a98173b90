"""The processes of a storm, seen from the runner: each behind a proxy of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from aspyx_event.testing.proxy import TcpProxy
from tests.faults.pairs import Pair
from tests.faults.storm.program import Settings

ROOT = Path(__file__).parents[3]
_STOP_TIMEOUT = 60


class Child:
    """A shop or a warehouse. Killed and started again, it keeps its name, its proxy and its log."""

    def __init__(self, role: str, number: int, *, pair: Pair, folder: Path, rate: float) -> None:
        self.role = role
        self.name = f"{role}-{number}"
        self.log = folder / f"{self.name}.log"
        self.proxy = TcpProxy(pair.broker.host, pair.port)
        url = pair.url(port=self.proxy.port, server_name=f"{self.name}-{pair.prefix}-{{pid}}")
        self._settings = Settings(role, self.name, url, str(folder / "ledger.db"), pair.prefix, rate)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, if it does not run."""
        if self.running:
            return
        self._reap()
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.storm.program", json.dumps(asdict(self._settings))],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        return self._process.pid if self._process is not None else 0

    def kill(self) -> None:
        """SIGKILL."""
        self._signal(signal.SIGKILL)
        self._reap()

    def quiet(self) -> None:
        """It sends nothing new from now on."""
        self._signal(signal.SIGUSR1)

    def show_stacks(self) -> None:
        """Into its log."""
        self._signal(signal.SIGUSR2)

    def stop(self) -> int | None:
        """SIGTERM; the exit code, None if it did not end in time and was killed."""
        self._signal(signal.SIGTERM)
        assert self._process is not None
        try:
            return self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.show_stacks()
            self.kill()
            return None
        finally:
            self._reap()

    @property
    def memory(self) -> float:
        """Its resident memory in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text() if self.running else ""
        found = re.search(r"VmRSS:\s*(\d+) kB", status)
        return int(found[1]) / 1024 if found else 0.0

    def log_lines(self) -> Iterator[str]:
        """What it and its predecessors wrote."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            yield from log

    def close(self) -> None:
        """Kill it, and close its proxy."""
        if self.running:
            self.kill()
        self._reap()
        self.proxy.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(_STOP_TIMEOUT)
            if self._process.stdin is not None:
                self._process.stdin.close()

    def __repr__(self) -> str:
        return f"<Child {self.name} pid={self.pid} {'running' if self.running else 'ended'}>"
