"""Ours, in the same two roles: imported, it sends; run, it is the process that handles."""

from __future__ import annotations

import os

from aspyx_event import EventManager
from tests.benchmarks.peers.options import URL, Done
from tests.benchmarks.samples import Counting, Sample, registry


def send_many(n: int, text: str, total: int) -> None:
    """All of them, confirmed."""
    _manager.send_events([Sample(n, text)] * total)


if __name__ == "__main__":
    _done = Done()
    Counting.meaning = lambda _event: _done()
    raise SystemExit(EventManager(os.environ[URL], registry=registry()).run())

_manager = EventManager(os.environ[URL], registry=registry())
_manager.start(listen=False)
