"""The other end of a connection, made of proton's own objects."""

from __future__ import annotations

from typing import Any

import proton

_ANSWERS = {
    b"accept": proton.Delivery.ACCEPTED,
    b"release": proton.Delivery.RELEASED,
    b"modify": proton.Delivery.MODIFIED,
    b"reject": proton.Delivery.REJECTED,
}


class Peer:
    """A broker of one queue: it accepts links, gives them credit, and answers messages by what they say."""

    def __init__(self, credit: int = 100) -> None:
        self.credit = credit
        self.transport = proton.Transport(proton.Transport.SERVER)
        self.transport.sasl().allowed_mechs("ANONYMOUS")
        self.connection = proton.Connection()
        self.collector = proton.Collector()
        self.connection.collect(self.collector)
        self.transport.bind(self.connection)
        self.received: list[bytes] = []
        self.tags: list[str] = []
        self.held: list[Any] = []
        self.links: list[Any] = []

    def work(self) -> None:
        event = self.collector.peek()
        while event:
            self._handle(event)
            self.collector.pop()
            event = self.collector.peek()

    def _handle(self, event: Any) -> None:
        if event.type == proton.Event.CONNECTION_REMOTE_OPEN:
            event.connection.open()
        elif event.type == proton.Event.SESSION_REMOTE_OPEN:
            event.session.open()
        elif event.type == proton.Event.LINK_REMOTE_OPEN:
            event.link.source.copy(event.link.remote_source)
            event.link.target.copy(event.link.remote_target)
            event.link.open()
            self.links.append(event.link)
            if event.link.is_receiver:
                event.link.flow(self.credit)
        elif event.type == proton.Event.DELIVERY and event.link.is_receiver and not event.delivery.partial:
            data = event.link.recv(event.delivery.pending) if event.delivery.pending else b""
            event.link.advance()
            self.received.append(bytes(data))
            self.tags.append(event.delivery.tag)
            self.held.append(event.delivery)

    def said(self) -> bytes:
        """What it has to say now, taken away."""
        found = b""
        while self.transport.pending() > 0:
            data = bytes(self.transport.peek(self.transport.pending()))
            self.transport.pop(len(data))
            found += data
        return found

    def free(self) -> None:
        self.transport.unbind()
        self.collector.release()

    def answer(self) -> None:
        for delivery, data in zip(self.held, self.received[-len(self.held) :]):
            if data == b"reject":
                delivery.local.condition = proton.Condition("amqp:resource-limit-exceeded", "full")
            delivery.update(_ANSWERS[data])
            delivery.settle()
        self.held.clear()
