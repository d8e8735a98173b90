"""What the tests of the command line share: events that failed, and a screen that is read."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aspyx_event import EventManager, EventRegistry, RetryPolicy, event, event_listener
from aspyx_event.cli.screen import PlainScreen
from aspyx_event.testing import EventHarness
from tests.unit.support import DEADLINE


@event(durable=True)
@dataclass
class Ordered:
    id: int
    note: str = ""


@event(durable=True)
@dataclass
class Paid:
    id: int


broken = [True]
"""Whether the listeners fail."""


@event_listener(Ordered)
def billing(event: Ordered) -> None:
    if broken[0]:
        raise ConnectionError("the bank does not answer\nat all")


@event_listener(Ordered)
def shipping(event: Ordered) -> None:
    if broken[0]:
        raise ValueError("no such address")


@event_listener(Paid)
def booking(event: Paid) -> None:
    if broken[0]:
        raise KeyError("account")


registry = EventRegistry().register(billing, shipping, booking)


class ReadScreen(PlainScreen):
    """A screen whose lines are kept."""

    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        super().__init__(self.out, self.err)

    @property
    def json_value(self) -> Any:
        return json.loads(self.out.getvalue())


@contextmanager
def failures() -> Iterator[tuple[EventHarness, EventManager]]:
    """Five dead letters: order-1 and order-2 in two listeners each, payment-1 in one."""
    broken[0] = True
    policy = RetryPolicy(immediate=0, delayed=())
    with EventHarness(registry=registry, retry=policy, workers=1, raise_errors=False) as harness:
        for number in (1, 2):
            harness.send(Ordered(number), id=f"order-{number}", headers={"tenant": "t"})
            harness.wait_idle(DEADLINE)
        harness.send(Paid(1), id="payment-1")
        harness.wait_idle(DEADLINE)
        yield harness, harness.manager
    broken[0] = True
