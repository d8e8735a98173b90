"""What the processes of a storm send to each other, and which of it fails."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Union

from aspyx_event import RetryPolicy, event

PAYLOAD = "payload-s3cret"
"""Stands in every event, and must stand in no log."""

LATER = "later"
FAILURES: dict[str, float] = {"once": 1, LATER: 2, "fatal": math.inf}
"""By the kind of an event: how many attempts fail. Two are more than are made on the spot."""
ANSWERED, KEYED, REPLY = "answered", "keyed", "reply"
POLICY = RetryPolicy(immediate=1, immediate_wait=(0,), delayed=(1, 2))
"""With jitter, so that RabbitMQ gets new queues for delays at any moment."""
KEYS = 5
_WEIGHTS = {"plain": 60, KEYED: 20, "once": 5, LATER: 5, "fatal": 2, ANSWERED: 8}


@dataclass
class Order:
    """What the shop sends."""

    id: str
    note: str


@dataclass
class Shipment:
    """What the warehouse sends."""

    id: str
    note: str


Message = Union[Order, Shipment]
SENDS: dict[str, type[Message]] = {"shop": Order, "warehouse": Shipment}
HEARS: dict[str, type[Message]] = {"shop": Shipment, "warehouse": Order}


def declared(kind: type[Message], run: str) -> type[Message]:
    """The event under a name of this run's own."""
    return event(name_of(kind, run), durable=True)(kind)


def name_of(kind: type[Message], run: str) -> str:
    """The address of the event."""
    return f"{kind.__name__}-{run}"


def new_id(sender: str, number: int, *, rng: random.Random, answers: bool) -> str:
    """An id that says who sent it, and what is to happen to it: all that an event consists of."""
    kinds = {kind: weight for kind, weight in _WEIGHTS.items() if answers or kind != ANSWERED}
    return f"{sender}.{number}.{rng.choices(list(kinds), list(kinds.values()))[0]}"


def kind_of(id: str) -> str:
    """What is to happen to the event of this id."""
    return id.rpartition(".")[2]


def key_of(id: str) -> str | None:
    """The key of the event of this id."""
    return f"key-{int(id.split('.')[-2]) % KEYS}" if kind_of(id) == KEYED else None


def reply_id(id: str) -> str:
    """The id of what the listener sends when it handles this event."""
    return f"{id}.{REPLY}"
