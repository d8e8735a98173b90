"""Between the engine and those who use links: who hears what, and the handle of a link. Nothing of proton is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from aspyx_event.providers.amqp.nodes import Condition, Outcome

Received = list[tuple[int, bytes]]


class LinkOwner(Protocol):
    """Who hears what happens to a link. Called on the I/O thread."""

    def link_opened(self) -> None:
        """The broker attached its end."""

    def link_closed(self, condition: Condition | None) -> None:
        """The broker refused or closed the link, or its session."""

    def link_credit(self) -> None:
        """Credit was granted, or returned by a drain."""

    def link_received(self, messages: Received) -> None:
        """All messages of one read from the socket: token and bytes."""

    def link_outcome(self, token: int, outcome: Outcome) -> None:
        """What became of a sent message."""


class ConnectionOwner(Protocol):
    """Who hears of the connection as a whole. Called on the I/O thread."""

    def connection_opened(self, properties: dict[str, Any]) -> None:
        """The broker's open frame, with its properties."""

    def connection_ended(self, phase: str, condition: Condition | None) -> None:
        """No further frame will come."""


@dataclass(eq=False)
class Link:
    """A link of this connection. Opaque to everybody but the engine."""

    impl: Any
    wrapper: Any
    owner: LinkOwner
    session: Any
    own_session: bool
    outgoing: bool
    tokens: dict[int, int]
    """Outgoing: address of the delivery -> token."""
    deliveries: dict[int, Any]
    """Incoming: token -> delivery."""
    batch: Received
    open: bool = False
