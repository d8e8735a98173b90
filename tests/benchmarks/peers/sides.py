"""Ours beside Celery and Dramatiq on RabbitMQ: the same payload sent and handled, one task an event."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO, Any

from tests.benchmarks import ours
from tests.benchmarks.measuring import CPU, RATE, SENT, Case, Figures
from tests.benchmarks.peers import options
from tests.benchmarks.samples import Meter, Place, Sample, place
from tests.tools.environment import peers_environment
from tests.tools.shell import ROOT

_WARM_UP = 200
_THREADS = str((os.cpu_count() or 1) + 4)
"""As many as we have workers by default."""
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
    """A row for each mode and size. The peer's processes are started with the first that is measured."""
    at, sizes = place("amqp", broker), list(sizes)
    for mode in MODES:
        with closing(Peer(mode, broker)) as peer:
            for size in sizes:
                yield _case(at, peer, size, total, broker.name)


def _case(at: Place, peer: Peer, size: int, total: int, where: str) -> Case:
    return Case(
        peer.mode.name, "one task an event",
        lambda: of_ours(at, total, size), lambda: peer.measure(total, size), where, size,
    )  # fmt: skip


def of_ours(at: Place, total: int, size: int) -> Figures:
    """``send_events``, and the listener in the same process; from the first call to the last event handled."""
    event = Sample.of_size(size)
    meters = [Meter(_WARM_UP), Meter(total)]
    with ours.running(at, listen=True, on_event=lambda _event: meters[0].hit()) as manager:
        manager.send_events([event] * _WARM_UP)
        meters[0].rate()
        del meters[0]
        taken, begin = time.process_time(), time.perf_counter()
        manager.send_events([event] * total)
        sent = time.perf_counter()
        meters[0].rate()
        end, taken = time.perf_counter(), time.process_time() - taken
    return {RATE: total / (end - begin), SENT: total / (sent - begin), CPU: taken / total * 1e6}


class Peer:
    """Sender and worker of a peer, in processes of their own. One thread may use it."""

    def __init__(self, mode: Mode, broker: Any) -> None:
        self.mode = mode
        self._url = f"amqp://{broker.user}:{broker.password}@{broker.host}:{broker.amqp_port}"
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
            [peers_environment().python, "-m", "tests.benchmarks.peers.driver", self.mode.module, *self.mode.worker],
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
