"""Sends tasks, and starts the worker that handles them: `python -m tests.benchmarks.peers.driver MODULE COMMAND...`.

Runs in the environment of a peer, or in ours. Each line of standard input is a number of tasks and the bytes of their
text; each line of output what they took, as JSON. The first line is written when the worker has handled a task.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

from tests.benchmarks.peers.options import PIPE
from tests.benchmarks.processes import processor_seconds, tree

_PATIENCE = 120.0
_POLL = 0.005


class _Answers:
    """Counts what was handled, by looking now and then: a wake-up for each task would be charged to the peer."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # open for writing, too: there is no end of it
        self._pause = threading.Event()

    def wait(self, count: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while count:
            try:
                count -= len(os.read(self._pipe, count))
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{count} tasks were sent and not handled") from None
                self._pause.wait(_POLL)


def _sending(app: Any) -> Callable[[int, str, int], None]:
    """How a program sends many: a way of its own, or one after the other."""

    def one_by_one(n: int, text: str, total: int) -> None:
        send = app.send
        for _ in range(total):
            send(n, text)

    return getattr(app, "send_many", one_by_one)


def _measure(send: Callable[[int, str, int], None], answers: _Answers, total: int, size: int) -> dict[str, float]:
    text = "x" * size
    own = os.getpid()
    taken, begin = processor_seconds(tree(own)), time.perf_counter()
    send(1, text, total)
    sent = time.perf_counter()
    answers.wait(total)
    end = time.perf_counter()
    return {
        "events/s": total / (end - begin),
        "sent/s": total / (sent - begin),
        "CPU us/event": (processor_seconds(tree(own)) - taken) / total * 1e6,
    }


def main(module: str, command: Sequence[str]) -> int:
    """Serve until the end of standard input."""
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as folder:
        os.environ[PIPE] = str(Path(folder) / "done")
        answers = _Answers(Path(folder) / "done")
        worker = subprocess.Popen([sys.executable, "-m", *command], stdin=subprocess.DEVNULL, stdout=sys.stderr)
        try:
            send = _sending(importlib.import_module(module))
            _say(_measure(send, answers, 1, 1))
            for line in sys.stdin:
                total, size = map(int, line.split())
                _say(_measure(send, answers, total, size))
        finally:
            worker.terminate()
            worker.wait(_PATIENCE)
    return 0


def _say(found: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
