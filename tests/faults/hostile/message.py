"""One hostile message, whatever the protocol."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

SECRET = "pl4in-s3cret"
"""In the body of most messages: no log record and no error header may show it."""
CANARY = "hostile_canary"
"""A module that exists, and that messages name. Nobody may import it."""

_serials = itertools.count(1)
_SERIAL = re.compile(r"s\d{7}s")


def new_serial() -> str:
    """A text that no other message of this process has."""
    return f"s{next(_serials):07d}s"


def serial_in(text: str) -> str | None:
    """The first serial in a text."""
    found = _SERIAL.search(text)
    return found[0] if found else None


@dataclass(frozen=True)
class Body:
    """A body with its content type. The serial travels elsewhere."""

    kind: str
    data: bytes
    content_type: Optional[str] = "application/json"


@dataclass(frozen=True)
class Hostile:
    """``data`` is what a sender writes: an encoded AMQP message, or a STOMP frame without destination and receipt.

    ``body``: what a dead letter of it must hold, byte for byte; None where that is not promised. ``alone``: the broker
    may end the connection over it, or wait for more.
    """

    kind: str
    serial: str
    data: bytes
    body: Optional[bytes] = None
    alone: bool = False

    def __repr__(self) -> str:
        return f"<{self.kind} {self.serial} {len(self.data)} bytes {self.data[:400]!r}>"


def generated(strategy: st.SearchStrategy[Body], count: int, seed: int = 0) -> list[Body]:
    """So many examples, the same ones for each seed. They are sent as one batch; the failing one is printed there."""
    found: list[Body] = []

    @settings(
        max_examples=count,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy, st.just(seed))
    def collect(body: Body, _seed: int) -> None:
        found.append(body)

    collect()
    return found


def kinds(messages: Iterable[Hostile]) -> dict[str, int]:
    """How many there are of each kind, by the kind's first word."""
    counts: dict[str, int] = {}
    for message in messages:
        name = message.kind.partition(":")[0]
        counts[name] = counts.get(name, 0) + 1
    return counts
