"""A manager that gets hostile messages, and the account of what became of them."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Optional
from uuid import UUID

from aspyx_event import (
    DeadLetter,
    EventListener,
    EventManager,
    EventRegistry,
    Outcome,
    RetryPolicy,
    current_envelope,
    event,
    event_listener,
)
from tests.faults.hostile.amqp_sender import AMQPSender
from tests.faults.hostile.bodies import LIMIT
from tests.faults.hostile.message import Hostile, serial_in
from tests.faults.hostile.stomp_sender import StompSender
from tests.faults.pairs import Pair

PATIENCE = 120.0
TAKEN = ("accepted", "confirmed")


@dataclass
class Order:
    """A field of every sort that a message can get wrong."""

    id: int = 0
    note: str = ""
    price: float = 0.0
    at: Optional[datetime] = None
    tags: list[str] = field(default_factory=list)
    more: Any = None
    key: Optional[UUID] = None
    blob: bytes = b""
    kind: Literal["a", "b"] = "a"
    amount: Decimal = Decimal(0)
    span: Optional[timedelta] = None
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class Bystander:
    """An event that no hostile message is sent to."""

    id: int = 0


class Records(logging.Handler):
    """Everything that is logged at INFO or above, as it would be printed."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.texts: list[str] = []
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


class Bench:
    """Two listeners of two events; raw senders write to the address of the first one."""

    def __init__(self, pair: Pair, **options: Any) -> None:
        self.pair = pair
        self.name = f"Order-{pair.prefix}"
        self.other_name = f"Bystander-{pair.prefix}"
        order: Any = event(self.name, durable=True)(type("Order", (Order,), {}))
        bystander: Any = event(self.other_name, durable=True)(type("Bystander", (Bystander,), {}))
        self.handled: Counter[str] = Counter()
        self.disturbed: list[Any] = []
        self.expired = 0
        self.results: Counter[str] = Counter()
        self.problems: list[str] = []
        self.changed = threading.Condition()
        bench = self

        @event_listener(order, name="Taking")
        class Taking(EventListener[Any]):
            def on(self, event: Any) -> None:
                bench.took(event)

        @event_listener(bystander, name="Standing")
        class Standing(EventListener[Any]):
            def on(self, event: Any) -> None:
                bench.disturbed.append(event)

        self.manager = EventManager(
            pair.url(),
            registry=EventRegistry().register(Taking, Standing),
            retry=RetryPolicy(immediate=0, delayed=()),
            max_message_size=LIMIT,
            observers=[self.observed],
            **options,
        )
        self.sender: Any = (AMQPSender if pair.protocol == "amqp" else StompSender)(pair, self.name)
        self.sent: dict[str, Hostile] = {}
        self.outcomes: dict[str, str] = {}
        self.records = Records()

    @property
    def queues(self) -> tuple[str, ...]:
        """Where a forged error queue may point: another listener's, nobody's, the error queue, an address, nonsense."""
        other, prefix = f"{self.other_name}::{self.pair.prefix}.Standing", self.pair.prefix
        return (
            other, f"{self.name}::{prefix}.Nobody", f"{prefix}.error", self.name, self.other_name, "", "::", "x" * 3000,
            "\u0000", f"{other}\nx", f"/queue/{other}", "activemq.management",
        )  # fmt: skip

    def __enter__(self) -> Bench:
        logging.getLogger().addHandler(self.records)
        self._hook, threading.excepthook = threading.excepthook, self._thread_died
        self.manager.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sender.close()
        self.manager.stop()
        threading.excepthook = self._hook
        logging.getLogger().removeHandler(self.records)

    def _thread_died(self, arguments: Any) -> None:
        self.problems.append(f"thread {arguments.thread} died of {arguments.exc_type.__name__}: {arguments.exc_value}")

    def took(self, event: Any) -> None:
        """The listener's own work: write down the serial."""
        envelope = current_envelope()
        assert envelope is not None
        serial = serial_in(envelope.get("serial") or "") or serial_in(envelope.id) or "?"
        with self.changed:
            self.handled[serial] += 1
            self.changed.notify_all()

    def observed(self, outcome: Outcome) -> None:
        with self.changed:
            self.results[outcome.result.value] += 1
            self.changed.notify_all()

    # -- sending and waiting

    def send(self, messages: Sequence[Hostile]) -> None:
        """Write them, and keep what the broker answered."""
        self.sent.update((message.serial, message) for message in messages)
        self.outcomes.update(self.sender.send(messages))

    @property
    def taken(self) -> set[str]:
        """The serials that the broker took."""
        return {serial for serial, outcome in self.outcomes.items() if outcome in TAKEN}

    @property
    def turned_away(self) -> Counter[str]:
        """What the broker did not take, by kind and answer."""
        return Counter(
            f"{self.sent[serial].kind} ({outcome})" for serial, outcome in self.outcomes.items() if outcome not in TAKEN
        )

    def report(self, text: str) -> None:
        """A line, and one for each kind that the broker turned away; pytest shows them with -s."""
        lines = [f"{self.pair.name}: {text}", *(f"    {n} {reason[:120]}" for reason, n in self.turned_away.items())]
        sys.stdout.write("\n" + "\n".join(lines) + "\n")

    def wait_settled(self, count: int, patience: float = PATIENCE) -> bool:
        """Wait for so many deliveries to be settled."""
        with self.changed:
            return self.changed.wait_for(lambda: sum(self.results.values()) >= count, patience)

    def wait_quiet(self, patience: float = PATIENCE) -> None:
        """Until nothing was settled for a while and nothing is in flight."""
        deadline = time.monotonic() + patience
        last, since = -1, time.monotonic()
        with self.changed:
            while time.monotonic() < deadline:
                now = sum(self.results.values())
                busy = any(found.in_flight for found in self.manager.health().listeners.values())
                if now != last or busy:
                    last, since = now, time.monotonic()
                elif time.monotonic() - since > 1.0:
                    return
                self.changed.wait(0.1)


def dead_by_serial(letters: Iterable[DeadLetter]) -> dict[str, DeadLetter]:
    """The dead letters whose serial can be found: in the header, in the id, in the bytes."""
    found = {}
    for letter in letters:
        serial = (
            serial_in(letter.headers.get("serial", ""))
            or serial_in(letter.id)
            or serial_in(letter.body.decode("latin-1"))
        )
        if serial:
            found[serial] = letter
    return found
