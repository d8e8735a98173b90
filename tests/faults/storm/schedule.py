"""Which faults come when: nothing but a function of the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CONSUMERS = ("warehouse-1", "warehouse-2")
PRODUCER = "shop-1"
PROCESSES = (PRODUCER, *CONSUMERS)

BROKER_KILLED = "broker killed"
BROKER_RESTARTED = "broker restarted"
OUTAGE = "broker away, listeners down"
CONSUMER_KILLED = "consumer killed"
PRODUCER_KILLED = "producer killed mid-send"
CUT = "link cut"
CUT_BEFORE_CONFIRM = "link cut before the confirm"
STALLED = "link silent"
TRUNCATED_UP = "frame truncated on its way up"
TRUNCATED_DOWN = "frame truncated on its way down"
DELAYED = "link slow"

OF_THE_BROKER = frozenset((BROKER_KILLED, BROKER_RESTARTED, OUTAGE))
"""They hit every process."""

SHORT = (
    *(BROKER_KILLED,) * 2,
    BROKER_RESTARTED,
    CONSUMER_KILLED,
    PRODUCER_KILLED,
    CUT_BEFORE_CONFIRM,
)
LONG = (
    *(BROKER_KILLED,) * 5,
    BROKER_RESTARTED,
    OUTAGE,
    *(CONSUMER_KILLED,) * 2,
    *(PRODUCER_KILLED,) * 2,
    CUT,
    *(CUT_BEFORE_CONFIRM,) * 2,
    STALLED,
    TRUNCATED_UP,
    TRUNCATED_DOWN,
    DELAYED,
)
_SECONDS = {OUTAGE: (45.0, 45.0), STALLED: (28.0, 32.0), DELAYED: (3.0, 8.0), CONSUMER_KILLED: (0.0, 1.5)}
_CALM = (0.2, 1.5)


@dataclass(frozen=True)
class Fault:
    """``calm``: seconds before it. ``seconds``: how long it lasts, where that is not in its nature."""

    kind: str
    target: str
    calm: float
    seconds: float = 0.0
    bytes: int = 0
    """How many pass before the blow falls."""

    def __str__(self) -> str:
        return f"{self.kind}{f' ({self.target})' if self.kind not in OF_THE_BROKER else ''}"


def schedule(seed: str, kinds: Sequence[str]) -> Iterator[Fault]:
    """The faults of these kinds in an order of the seed, and again, for ever."""
    rng = random.Random(seed)
    while True:
        for kind in rng.sample(kinds, len(kinds)):
            yield Fault(
                kind,
                _target(kind, rng),
                calm=rng.uniform(*_CALM),
                seconds=rng.uniform(*_SECONDS.get(kind, (0.0, 0.0))),
                bytes=rng.randint(1, 800),
            )


def _target(kind: str, rng: random.Random) -> str:
    if kind == PRODUCER_KILLED:
        return PRODUCER
    return rng.choice(CONSUMERS if kind == CONSUMER_KILLED else PROCESSES)
