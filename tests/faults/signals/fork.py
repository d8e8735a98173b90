"""Forks after start(): ``python -m tests.faults.signals.fork URL PREFIX``. Prints one line for each thing it sees."""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import sys
import warnings
from typing import Any

from aspyx_event import EventManager, EventRegistry, LifecycleError, event_listener
from tests.faults.signals.event import event_of


def say(text: str) -> None:
    """Whole lines also from two processes."""
    os.write(1, f"{text}\n".encode())


def refused(manager: EventManager, ping: Any) -> None:
    """What the child does with its parent's manager."""
    for name, call in (("send", lambda: manager.send_event(ping())), ("stop", manager.stop), ("pause", manager.pause)):
        try:
            call()
        except LifecycleError as error:
            good = "before the fork" in str(error) and "in post_fork" in str(error)
            say(f"{name} {'refused' if good else error}")


def main(url: str, prefix: str) -> None:
    """Send and hear before, between and after the forks."""
    warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads, since Python 3.12
    logging.basicConfig(level=logging.INFO)
    ping, heard = event_of(prefix), queue.SimpleQueue[int]()
    listener = event_listener(ping, f"ping-{prefix}")(lambda received: heard.put(received.number))
    manager = EventManager(url, registry=EventRegistry().register(listener))
    manager.start()

    def round_trip(number: int) -> None:
        manager.send_event(ping(number))
        say(f"heard {heard.get(timeout=30)}")

    round_trip(0)
    child = os.fork()
    if child == 0:
        refused(manager, ping)
        sys.exit(0)  # with everything that runs at the end of an interpreter
    say(f"child {os.waitpid(child, 0)[1]}")
    round_trip(1)
    process = multiprocessing.get_context("fork").Process(target=refused, args=(manager, ping))
    process.start()
    process.join(30)
    say(f"child {process.exitcode}")
    for number in range(2, 50):
        round_trip(number)
    say(f"ready {manager.health().ready}")


if __name__ == "__main__":
    main(*sys.argv[1:])
