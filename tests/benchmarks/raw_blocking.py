"""A client written by hand on proton's engine: one thread, a blocking socket, one message at a time."""

from __future__ import annotations

import itertools
import socket
from types import TracebackType
from typing import Any

import proton

from tests.benchmarks.samples import Place

_TIMEOUT = 30.0
_READ = 64 * 1024


class BlockingClient:
    """Sends, and returns when the broker has accepted. Belongs to one thread."""

    def __init__(self, place: Place) -> None:
        self._sock = socket.create_connection((place.host, place.port), timeout=_TIMEOUT)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tags = itertools.count(1)
        self._connection: Any = proton.Connection()
        self._collector: Any = proton.Collector()
        self._connection.collect(self._collector)
        self._connection.container = "bench-blocking"
        self._connection.hostname = place.host
        self._connection.user, self._connection.password = place.user, place.password
        self._transport: Any = proton.Transport()
        sasl = self._transport.sasl()
        sasl.allowed_mechs("PLAIN")
        sasl.allow_insecure_mechs = True
        self._transport.bind(self._connection)
        self._connection.open()
        session = self._connection.session()
        session.open()
        self._sender = session.sender("bench")
        self._sender.target.address = place.target
        for name in place.capabilities:
            self._sender.target.capabilities.put_object(proton.symbol(name))
        self._sender.open()
        while self._sender.credit <= 0:
            self._exchange()

    def send(self, body: bytes) -> None:
        """Send one durable message and wait until it is accepted."""
        number = next(self._tags)
        message = proton.Message(
            body=body, inferred=True, durable=True, id=str(number), content_type="application/json"
        )
        delivery = self._sender.delivery(str(number))
        self._sender.send(message.encode())
        self._sender.advance()
        while not delivery.remote_state:
            self._exchange()
        if delivery.remote_state != proton.Delivery.ACCEPTED:
            raise RuntimeError(f"message {number} was not accepted: {delivery.remote_state}")
        delivery.settle()
        while self._sender.credit <= 0:
            self._exchange()

    def _exchange(self) -> None:
        self._write()
        data = self._sock.recv(_READ)
        if not data:
            raise ConnectionError("the broker closed the connection")
        self._transport.push(data)
        while self._collector.peek() is not None:
            self._collector.pop()
        self._write()

    def _write(self) -> None:
        while (pending := self._transport.pending()) > 0:
            self._transport.pop(self._sock.send(self._transport.peek(pending)))

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._write()
        self._sock.close()
