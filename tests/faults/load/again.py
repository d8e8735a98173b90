"""The same thing again and again, and what is left of it each time."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aspyx_event.testing.proxy import TcpProxy
from tests.faults.load.desk import Desk, running
from tests.faults.load.process import Usage
from tests.faults.pairs import Pair
from tests.faults.waiting import wait_until

_EVERY = 25


@dataclass(frozen=True)
class Growth:
    """What a process used after the first rounds, and after the last."""

    rounds: int
    early: Usage
    late: Usage
    seconds: float
    account: str

    @property
    def growth(self) -> Usage:
        """The difference."""
        return self.late - self.early

    def __str__(self) -> str:
        return f"{self.rounds} rounds in {self.seconds:.0f} s: {self.early} early, {self.late} late; {self.account}"


def _settled(least: Usage | None = None) -> Usage:
    """The usage once what is just ending has ended: not more than before, or after five seconds."""
    deadline = time.monotonic() + 5
    pause = threading.Event()
    while True:
        gc.collect()
        usage = Usage.now()
        if least is None or time.monotonic() > deadline:
            return usage
        if usage.threads <= least.threads and usage.descriptors <= least.descriptors:
            return usage
        pause.wait(0.1)


def reconnects(pair: Pair, count: int, folder: Path, *, warm: int) -> Growth:
    """Cut all connections so often, each time as soon as all are there again; usage from the ``warm``-th on."""
    with TcpProxy(pair.broker.host, pair.port) as proxy, running(pair, folder, port=proxy.port) as desk:
        connections = proxy.open_connections
        began, early = time.monotonic(), Usage.now()
        for number in range(count):
            _cut(desk, proxy, connections)
            if number % _EVERY == 0:
                assert desk.send(), "sent after a reconnect"
            if number == warm:
                early = _settled()
        assert desk.send()
        desk.wait_handled()
        late = _settled(early)
        return Growth(count, early, late, time.monotonic() - began, str(desk.account))


def _cut(desk: Desk, proxy: TcpProxy, connections: int) -> None:
    """Cut all connections, and wait until as many are there again and the manager says that it is ready."""
    wanted = proxy.connections + connections

    def back() -> bool:
        enough = proxy.connections >= wanted and proxy.open_connections >= connections
        return enough and desk.manager.health().ready

    proxy.cut()
    wait_until(back, lambda: (proxy, desk.manager.health()))


def managers(pair: Pair, count: int, folder: Path, *, alive: int) -> Growth:
    """Start managers, send, hear, stop: ``alive`` at a time. Usage after the first ten rounds, and at the end."""
    began = time.monotonic()

    def one(number: int) -> None:
        with _own(pair, folder / str(number)) as desk:
            assert desk.send()
            desk.wait_handled()

    def some(numbers: range) -> None:
        with ThreadPoolExecutor(alive) as threads:
            list(threads.map(one, numbers))

    warm = 2 * alive
    some(range(warm))
    early = _settled()
    some(range(warm, count))
    late = _settled(early)
    return Growth(count, early, late, time.monotonic() - began, "each sent one event, and heard it")


@contextmanager
def _own(pair: Pair, folder: Path) -> Iterator[Desk]:
    folder.mkdir()
    with running(Pair(pair.protocol, pair.broker), folder) as desk:
        yield desk
