"""A program that sends or listens until it dies: ``python -m tests.faults.crash.victim '{"url": ..., ...}'``.

It exits with 0 when it did not have to die.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from pathlib import Path

from aspyx_event import EventManager, RetryPolicy
from aspyx_event.providers import provider_from_url
from aspyx_event.testing.crash import CrashingProvider, CrashPoint
from aspyx_event.testing.proxy import TcpProxy
from tests.faults.crash.cast import Cast, Part
from tests.faults.ledger import CONFIRMED, SENT

RETRIES = RetryPolicy(immediate=0, delayed=(1,), jitter=0)
NO_RETRIES = RetryPolicy(immediate=0, delayed=())


def play(part: Part) -> None:
    """Start a manager whose provider dies, and do what leads there."""
    cast = Cast(part.name, Path(part.ledger), part.behaviour)
    with TcpProxy("127.0.0.1", part.port) as proxy:
        inner = provider_from_url(part.url.replace(f":{part.port}/", f":{proxy.port}/"))
        provider = CrashingProvider(inner, at=CrashPoint[part.point], proxy=proxy)
        manager = EventManager(provider, registry=cast.registry, retry=RETRIES if part.retries else NO_RETRIES)
        manager.start(listen=not part.send)
        if part.send:
            cast.ledger.enter(SENT, part.send)
            manager.send_event(cast.event(0), id=part.send)
            cast.ledger.enter(CONFIRMED, part.send)
        elif part.behaviour == "hold":
            _wait_for_two(manager)
        else:
            _wait_until_dead(manager)
        manager.stop(timeout=5)


def _wait_for_two(manager: EventManager) -> None:
    """One event in the listener, one behind it, which is given back when the manager stops."""
    pause = threading.Event()
    while sum(state.in_flight for state in manager.health().listeners.values()) < 2:
        pause.wait(0.02)


def _wait_until_dead(manager: EventManager) -> None:
    """Or until an event came to the error queue, which is as far as a listener that kills its process can get."""
    pause = threading.Event()
    while not any(state.dead_lettered for state in manager.health().listeners.values()):
        pause.wait(0.02)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        play(Part.of(sys.argv[1]))
