"""A plain proton client that writes any bytes as a message, and reports what the broker made of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from proton import ConnectionException, Delivery, Endpoint, LinkException, ProtonException, Timeout, symbol
from proton.reactor import LinkOption
from proton.utils import BlockingConnection

from tests.faults.hostile.message import Hostile
from tests.faults.pairs import Pair

ACCEPTED = "accepted"
_WINDOW = 200
_PATIENCE = 20.0
_LOST = (ConnectionException, LinkException, ProtonException, Timeout)
_STATES = {Delivery.ACCEPTED: ACCEPTED, Delivery.REJECTED: "rejected", Delivery.RELEASED: "released"}


class _Capability(LinkOption):
    def __init__(self, name: str) -> None:
        self._name = name

    def apply(self, link: Any) -> None:
        link.target.capabilities.put_object(symbol(self._name))


class AMQPSender:
    """Sends to one event's address, or to one plain queue. Reconnects as often as the broker throws it out."""

    def __init__(self, pair: Pair, event: str = "", *, queue: str = "") -> None:
        self._pair = pair
        self._artemis = pair.broker.name == "artemis"
        self._capability = "queue" if queue else "topic"
        self._address = (event or queue) if self._artemis else f"/queues/{queue}" if queue else f"/exchanges/{event}"
        self._connection: Any = None
        self._link: Any = None
        self._tags = 0

    def send(self, messages: Sequence[Hostile]) -> dict[str, str]:
        """What became of each, by serial: `ACCEPTED`, or what the broker said instead."""
        results: dict[str, str] = {}
        batch = [message for message in messages if not message.alone]
        for begin in range(0, len(batch), _WINDOW):
            results.update(self._send_window(batch[begin : begin + _WINDOW]))
        for message in messages:
            if message.serial not in results:
                results[message.serial] = self._send_alone(message)
        return results

    def _send_window(self, messages: Sequence[Hostile]) -> dict[str, str]:
        """Those that were settled before the connection ended, if it did."""
        pending: dict[str, Any] = {}
        try:
            for message in messages:
                pending[message.serial] = self._write(message.data)
            self._wait(lambda: all(sent.settled for sent in pending.values()))
        except _LOST:
            self.close()
        return {serial: _state(sent) for serial, sent in pending.items() if sent.settled}

    def _send_alone(self, message: Hostile) -> str:
        try:
            sent = self._write(message.data)
            self._wait(lambda: sent.settled)
            return _state(sent)
        except _LOST as error:
            self.close()
            return f"thrown out: {type(error).__name__}"

    def _write(self, data: bytes) -> Any:
        if self._connection is None:
            self._open()
        link = self._link
        self._wait(lambda: link.credit > 0)
        self._tags += 1
        sent = link.delivery(f"h{self._tags}")
        link.stream(data)
        link.advance()
        return sent

    def _wait(self, done: Callable[[], bool]) -> None:
        """Also until the broker ends the session, of which BlockingConnection tells nobody."""
        session = self._link.session
        self._connection.wait(lambda: done() or bool(session.state & Endpoint.REMOTE_CLOSED), timeout=_PATIENCE)
        if not done():
            raise LinkException("the broker ended the session")

    def _open(self) -> None:
        broker = self._pair.broker
        self._connection = BlockingConnection(
            f"amqp://127.0.0.1:{broker.amqp_port}",
            timeout=_PATIENCE,
            user=broker.user,
            password=broker.password,
            allowed_mechs="PLAIN",
        )
        options = _Capability(self._capability) if self._artemis else None
        self._link = self._connection.create_sender(self._address, options=options).link

    def close(self) -> None:
        """End the connection, however it is."""
        connection, self._connection, self._link = self._connection, None, None
        if connection is not None:
            try:
                connection.close()
            except _LOST:
                connection.container.stop_events()


def _state(sent: Any) -> str:
    return _STATES.get(sent.remote_state, f"outcome {sent.remote_state}")
