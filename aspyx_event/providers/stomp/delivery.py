"""A message of a subscription."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aspyx_event.envelope import Envelope
from aspyx_event.provider import Confirmation, Delivery

if TYPE_CHECKING:
    from aspyx_event.providers.stomp.link import Link
    from aspyx_event.providers.stomp.subscription import StompSubscription


class StompDelivery(Delivery):
    """See Delivery. Settling is its subscription's."""

    __slots__ = ("_owner", "body", "headers", "link", "settled")

    def __init__(self, owner: StompSubscription, link: Link, headers: dict[str, str], body: bytes) -> None:
        self._owner = owner
        self.link = link
        self.headers = headers
        self.body = body
        self.settled = False

    @property
    def alive(self) -> bool:
        """See Delivery."""
        return not self.settled and self.link.alive

    def read(self) -> Envelope:
        """See Delivery."""
        return self._owner.dialect.read(self.headers, self.body)

    def accept(self) -> None:
        """See Delivery."""
        self._owner.settle(self, accept=True)

    def release(self) -> None:
        """See Delivery; the module's text tells how."""
        self._owner.settle(self, accept=False)

    def forward(self, destination: str, headers: Mapping[str, str], *, delay: float = 0) -> Confirmation[None]:
        """See Delivery."""
        owner, kept = self._owner, dict(headers)
        return owner.dialect.send(
            lambda: owner.dialect.copy(self.headers, self.body, destination, kept, delay=delay), owner.publisher.send
        )

    def __repr__(self) -> str:
        return f"<StompDelivery {self.headers.get('message-id')}{'' if self.alive else ' not alive'}>"
