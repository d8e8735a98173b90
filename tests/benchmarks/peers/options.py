"""What a program of the peers' environment is told, in environment variables: its worker has to be told the same."""

from __future__ import annotations

import os

URL = "BENCH_PEER_URL"
CONFIRM = "BENCH_PEER_CONFIRM"
LATE = "BENCH_PEER_LATE"
PIPE = "BENCH_PEER_PIPE"


def is_set(name: str) -> bool:
    """Whether an option is switched on."""
    return os.environ.get(name) == "1"


class Done:
    """Tells the sender, which waits in another process, that a task was handled: a byte in a pipe with a name.

    Any thread may call it, and a byte is written whole.
    """

    def __init__(self) -> None:
        self._pipe = -1

    def __call__(self) -> None:
        if self._pipe < 0:  # in the process that runs tasks, which may be a child of the one that imported this
            self._pipe = os.open(os.environ[PIPE], os.O_WRONLY)
        os.write(self._pipe, b".")
