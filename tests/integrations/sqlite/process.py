"""A process that handles events, or sends them, until it is killed: ``process.py listen|send PATH LOG``.

What it handled, or what was confirmed to it, stands in its log, one number a line.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass

from aspyx_event import EventManager, EventRegistry, RetryPolicy, SqliteProvider, event, event_listener

TOGETHER = 20


@event(durable=True)
@dataclass
class Numbered:
    """The event."""

    number: str


class Log:
    """Lines that are in the file when ``write`` returns: a kill loses none."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, *lines: str) -> None:
        """Add lines."""
        os.write(self._file, "".join(f"{line}\n" for line in lines).encode())


def listen(path: str, log: Log) -> None:
    """Handle until the end."""

    @event_listener(Numbered, "counting", retry=RetryPolicy(immediate=0, delayed=()))
    def count(received: Numbered) -> None:
        log.write(received.number)

    with EventManager(SqliteProvider(path), registry=EventRegistry().register(count), workers=4):
        _ready()
        threading.Event().wait()


def send(path: str, log: Log) -> None:
    """Send until the end."""
    pause = threading.Event()
    with EventManager(SqliteProvider(path), registry=EventRegistry().register(Numbered)) as manager:
        _ready()
        done = 0
        while True:
            numbers = [f"{os.getpid()}-{done + further}" for further in range(TOGETHER)]
            manager.send_events([Numbered(number) for number in numbers], timeout=60)
            log.write(*numbers)
            done += TOGETHER
            pause.wait(0.02)


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    {"listen": listen, "send": send}[sys.argv[1]](sys.argv[2], Log(sys.argv[3]))
