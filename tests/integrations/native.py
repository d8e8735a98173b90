"""A foreign AMQP client: plain proton, without this library."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from proton import Message, symbol
from proton.reactor import LinkOption
from proton.utils import BlockingConnection

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker


class Topic(LinkOption):
    """Ask Artemis for a multicast address."""

    def apply(self, link: Any) -> None:
        link.target.capabilities.put_object(symbol("topic"))


@contextlib.contextmanager
def connected(broker: ArtemisBroker) -> Iterator[BlockingConnection]:
    """A blocking connection of a client that knows nothing of us."""
    connection = BlockingConnection(
        f"amqp://127.0.0.1:{broker.amqp_port}",
        timeout=10,
        user=broker.user,
        password=broker.password,
        allowed_mechs="PLAIN",
    )
    try:
        yield connection
    finally:
        connection.close()


def send(broker: ArtemisBroker, address: str, *messages: Message) -> None:
    """Send messages to an event's address, as a foreign program would."""
    with connected(broker) as connection:
        sender = connection.create_sender(address, options=Topic())
        for message in messages:
            message.durable = True
            sender.send(message)
        sender.close()
