"""The two programs of the main job, each run as a process of its own: ``send`` and ``listen``."""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import dataclass

from aspyx_event import EventListener, EventManager, EventRegistry, RetryPolicy, event, event_listener

NAME = os.environ.get("ORDER_EVENT", "OrderPlaced")


@event(NAME, durable=True)
@dataclass
class OrderPlaced:
    """A customer placed an order."""

    id: int
    customer: str
    total: float


@event_listener(OrderPlaced, name=f"billing-{NAME}", retry=RetryPolicy(immediate=1, immediate_wait=(0,), delayed=(1,)))
class Billing(EventListener[OrderPlaced]):
    """Handles orders; marks each by a line in a file, and dies, hangs or fails where the test says."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ledger = open(os.environ["ORDER_LEDGER"], "a", buffering=1)  # noqa: SIM115 - lives as the process
        self._die_at = int(os.environ.get("ORDER_DIE_AT", "-1"))

    def on(self, event: OrderPlaced) -> None:
        with self._lock:
            self._ledger.write(f"{event.id}\n")
        if event.id == self._die_at:
            os.kill(os.getpid(), 9)
        if event.total < 0:
            raise ValueError("a negative total")


def send(url: str, count: int) -> None:
    """Send orders, the last of them one that always fails when ORDER_BAD is set."""
    bad = int(os.environ.get("ORDER_BAD", "0"))
    with EventManager(url, registry=EventRegistry().register(OrderPlaced)) as manager:
        manager.send_events(
            OrderPlaced(number, f"c{number % 7}", -1.0 if number >= count - bad else number * 1.5)
            for number in range(count)
        )


def listen(url: str) -> int:
    """Handle orders until SIGTERM; then print the counts."""
    manager = EventManager(url, registry=EventRegistry().register(Billing))
    code = manager.run()
    health = manager.health().listeners[f"billing-{NAME}"]
    sys.stdout.write(f"{manager.describe()}\n")
    sys.stdout.write(json.dumps({"handled": health.handled, "dead": health.dead_lettered}) + "\n")
    return code


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(listen(sys.argv[2]))
