"""Ends of links, described without proton: what dialects and links talk about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Optional


class Request(NamedTuple):
    """A question to a broker's management; ``body`` is a raw AmqpValue section."""

    method: str
    path: str
    body: bytes


class Need(NamedTuple):
    """What has to be declared before something is sent to a node."""

    requests: tuple[Request, ...]
    required: bool
    """Whether sending is in vain when the broker refuses."""


@dataclass(frozen=True)
class Node:
    """A source or a target on the broker."""

    address: Optional[str]
    capabilities: tuple[str, ...] = ()
    dynamic: bool = False
    copy: bool = False
    """Browse: read without taking."""
    selector: Optional[str] = None
    paired: bool = False
    """One of two links of one name that carry requests and their replies; what goes over it is sent settled."""
    need: Optional[Need] = None

    def __str__(self) -> str:
        return self.address or "(dynamic)"


class Condition(NamedTuple):
    """Why a peer closed or refused something."""

    name: str
    description: str

    def __str__(self) -> str:
        return f"{self.name}: {self.description}" if self.description else self.name


class State(Enum):
    """What became of a message we sent."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RELEASED = "released"
    MODIFIED = "modified"
    UNKNOWN = "settled without an outcome"


class Outcome(NamedTuple):
    """The state of a sent message, and the broker's reason where it gave one."""

    state: State
    condition: Optional[Condition] = None
