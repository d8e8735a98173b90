"""Ours beside Celery and Dramatiq on RabbitMQ: the same payload sent and handled, one task an event."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO, Any

from tests.benchmarks.measuring import Case, Figures
from tests.benchmarks.peers import options
from tests.benchmarks.samples import Sample
from tests.tools.environment import peers_environment
from tests.tools.shell import ROOT

_THREADS = str((os.cpu_count() or 1) + 4)
"""As many as we have workers by default."""
_OURS = "tests.benchmarks.peers.ours_app"
_CELERY, _DRAMATIQ = "tests.benchmarks.peers.celery_app", "tests.benchmarks.peers.dramatiq_app"
_CELERY_WORKER = ("celery", "-A", _CELERY, "worker", "--loglevel", "ERROR")
_CONFIRMED = {options.CONFIRM: "1", options.LATE: "1"}


@dataclass(frozen=True)
class Mode:
    """How a peer sends, and in what its tasks run."""

    name: str
    module: str
    worker: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)


_POOLS = (
    ("Celery, threads", _CELERY, (*_CELERY_WORKER, "--pool", "threads", "--concurrency", _THREADS)),
    ("Celery, processes", _CELERY, _CELERY_WORKER),
    ("Dramatiq, threads", _DRAMATIQ, ("dramatiq", "--processes", "1", "--threads", _THREADS, _DRAMATIQ)),
    ("Dramatiq, processes", _DRAMATIQ, ("dramatiq", _DRAMATIQ)),
)
MODES = tuple(
    Mode(f"{name}, {mode}", module, worker, variables)
    for name, module, worker in _POOLS
    for mode, variables in (("defaults", {}), ("confirmed", _CONFIRMED))
)


def cases(broker: Any, sizes: Iterable[int], total: int) -> Iterator[Case]:
    """A row for each mode and size. The processes are started with the first that is measured."""
    sizes = list(sizes)
    for mode in MODES:
        with closing(Peer(mode, broker)) as peer, closing(Peer(OURS, broker)) as ours:
            for size in sizes:
                yield _case(ours, peer, size, total, broker.name)


def _case(ours: Peer, peer: Peer, size: int, total: int, where: str) -> Case:
    return Case(
        peer.mode.name, "one task an event",
        lambda: ours.measure(total, size), lambda: peer.measure(total, size), where, size,
    )  # fmt: skip


OURS = Mode("ours", _OURS, (_OURS,))
"""One process that sends, and one that handles, with six workers on two processors."""


class Peer:
    """Sender and worker of a side, in processes of their own. One thread may use it."""

    def __init__(self, mode: Mode, broker: Any) -> None:
        self.mode = mode
        self._url = f"amqp://{broker.user}:{broker.password}@{broker.host}:{broker.amqp_port}"
        self._python = sys.executable if mode is OURS else str(peers_environment().python)
        self._log: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the peer
        self._driver: subprocess.Popen[str] | None = None

    def measure(self, total: int, size: int) -> Figures:
        """So many tasks, sent and handled; the texts are as long as ours."""
        driver = self._driver or self._start()
        assert driver.stdin is not None
        driver.stdin.write(f"{total} {len(Sample.of_size(size).t)}\n")
        driver.stdin.flush()
        return self._answer(driver)

    def close(self) -> None:
        """End the sender, which ends its worker."""
        if self._driver is not None:
            self._driver.communicate(timeout=120)
        self._log.close()

    def _start(self) -> subprocess.Popen[str]:
        self._driver = driver = subprocess.Popen(
            [self._python, "-m", "tests.benchmarks.peers.driver", self.mode.module, *self.mode.worker],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), options.URL: self._url, **self.mode.variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._answer(driver)
        return driver

    def _answer(self, driver: subprocess.Popen[str]) -> Figures:
        assert driver.stdout is not None
        line = driver.stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"{self.mode.name} has ended: {self._log.read()[-2000:]}")
        found: dict[str, float] = json.loads(line)
        return found
