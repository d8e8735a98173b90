"""``python -m tests.faults.outage.shop URL PREFIX LISTENERS``: events are sent all the time, and some need retries.

Its standard output is its log at INFO and above. SIGTERM ends it.
"""

from __future__ import annotations

import itertools
import logging
import sys
import threading
from dataclasses import dataclass
from typing import Any

from aspyx_event import EventError, EventManager, EventRegistry, RetryPolicy, current_envelope, event, event_listener

POLICY = RetryPolicy(immediate=0, delayed=(5,), jitter=0)
FAILING = 4
"""So many events of each kind fail at their first attempt."""


@dataclass
class Order:
    """The events; each kind is a class of its own."""

    number: int = 0
    fails_once: bool = False


def kinds(prefix: str, count: int) -> list[Any]:
    """So many event classes."""
    return [
        event(f"Order{number}-{prefix}", durable=True)(type(f"Order{number}", (Order,), {"__doc__": Order.__doc__}))
        for number in range(count)
    ]


def on(order: Any) -> None:
    """The listener of each kind."""
    envelope = current_envelope()
    assert envelope is not None
    if order.fails_once and envelope.attempt == 1:
        raise ConnectionError("the first attempt fails")


def send_on(manager: EventManager, events: list[Any], over: threading.Event) -> None:
    """Send, also while nobody can be reached: then each waits for a second."""
    for number in itertools.count():
        if over.wait(0.1):
            return
        for kind in events:
            try:
                manager.send_event(kind(number, fails_once=number < FAILING), timeout=1)
            except EventError:
                continue


def main(url: str, prefix: str, listeners: str) -> int:
    """Run until SIGTERM."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s|%(levelname)s|%(name)s|%(message)s")
    events = kinds(prefix, int(listeners))
    registry = EventRegistry()
    for number, kind in enumerate(events):
        registry.register(event_listener(kind, f"listener{number}-{prefix}")(on))
    manager = EventManager(url, registry=registry, retry=POLICY)
    manager.start(60)
    over = threading.Event()
    sender = threading.Thread(target=send_on, args=(manager, events, over), name="sender")
    sender.start()
    try:
        return manager.run()
    finally:
        over.set()
        sender.join()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
