"""A STOMP client on a bare socket: it writes any bytes as a frame, and reports what the broker made of each."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Sequence
from typing import Optional

from tests.faults.hostile.message import Hostile
from tests.faults.pairs import Pair

CONFIRMED = "confirmed"
_WINDOW = 200
_PATIENCE = 20.0
_QUIET = 1.0
"""Seconds for the answer to a frame that may leave the broker waiting for more."""
_RECEIPT = re.compile(rb"\nreceipt-id:([^\n\r]*)")
_MESSAGE = re.compile(rb"\nmessage:([^\n\r]*)")

Header = tuple[bytes, bytes]


def frame(headers: Iterable[Header], body: bytes = b"", *, length: bytes | None = b"") -> bytes:
    """The part of a SEND frame behind destination and receipt, nothing escaped. ``length``: empty is the true one."""
    lines = [key + b":" + value for key, value in headers]
    if length is not None:
        lines.append(b"content-length:" + (length or b"%d" % len(body)))
    return b"\n".join(lines) + b"\n\n" + body


def escaped(text: str) -> bytes:
    """A header's key or value as it has to be written."""
    for plain, escape in (("\\", "\\\\"), ("\r", "\\r"), ("\n", "\\n"), (":", "\\c")):
        text = text.replace(plain, escape)
    return text.encode()


class StompSender:
    """Sends to one event's address, or to one plain queue. Reconnects as often as the broker throws it out."""

    def __init__(self, pair: Pair, event: str = "", *, queue: str = "") -> None:
        self._pair = pair
        if pair.broker.name == "artemis":
            routing = "ANYCAST" if queue else "MULTICAST"
            self._where = f"destination:{queue or event}\ndestination-type:{routing}\npersistent:true\n".encode()
        else:
            where = f"/amq/queue/{queue}" if queue else f"/topic/{event}"
            self._where = f"destination:{where}\npersistent:true\n".encode()
        self._socket: Optional[socket.socket] = None
        self._buffer = b""

    def send(self, messages: Sequence[Hostile]) -> dict[str, str]:
        """What became of each, by serial: `CONFIRMED`, or what the broker said instead."""
        results: dict[str, str] = {}
        batch = [message for message in messages if not message.alone]
        for begin in range(0, len(batch), _WINDOW):
            window = batch[begin : begin + _WINDOW]
            confirmed, _ = self._exchange(window, _PATIENCE)
            results.update((message.serial, CONFIRMED) for message in window if message.serial in confirmed)
        for message in messages:
            if message.serial not in results:
                results[message.serial] = self._send_alone(message)
        return results

    def _send_alone(self, message: Hostile) -> str:
        self.close()
        confirmed, complaint = self._exchange([message], _QUIET if message.alone else _PATIENCE)
        if complaint:  # RabbitMQ sends a receipt even after the error that the frame ended in
            self.close()
            return complaint
        return CONFIRMED if message.serial in confirmed else "no answer"

    def _exchange(self, messages: Sequence[Hostile], patience: float) -> tuple[set[str], str]:
        """The serials that were confirmed, and what went wrong."""
        wanted = {message.serial for message in messages}
        confirmed: set[str] = set()
        complaint = ""
        try:
            for message in messages:
                self._write(b"SEND\n" + self._where + b"receipt:%s\n" % message.serial.encode() + message.data + b"\0")
            while wanted - confirmed and not complaint:
                answer = self._read(patience)
                found = _RECEIPT.search(answer)
                if answer.startswith(b"ERROR"):
                    said = _MESSAGE.search(answer)
                    complaint = "refused: " + (said[1].decode("utf-8", "replace")[:60] if said else "")
                elif answer.startswith(b"RECEIPT") and found:
                    confirmed.add(found[1].decode())
        except OSError as error:
            complaint = complaint or f"thrown out: {type(error).__name__}"
        if complaint:
            self.close()
        return confirmed, complaint

    def _write(self, data: bytes) -> None:
        if self._socket is None:
            self._open()
        assert self._socket is not None
        self._socket.sendall(data)

    def _open(self) -> None:
        broker = self._pair.broker
        self._socket = socket.create_connection((broker.host, broker.stomp_port), timeout=_PATIENCE)
        host = "/" if broker.name == "rabbitmq" else broker.host
        self._socket.sendall(
            f"CONNECT\naccept-version:1.2\nhost:{host}\nlogin:{broker.user}\npasscode:{broker.password}\n\n\0".encode()
        )
        answer = self._read(_PATIENCE)
        assert answer.startswith(b"CONNECTED"), answer

    def _read(self, patience: float) -> bytes:
        """The next frame; the answers to a SEND have no NUL in them. Raises OSError when none comes."""
        assert self._socket is not None
        self._socket.settimeout(patience)
        while b"\0" not in self._buffer:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("closed by the broker")
            self._buffer += data
        answer, _, self._buffer = self._buffer.partition(b"\0")
        return answer.lstrip(b"\r\n")

    def close(self) -> None:
        """End the connection, without a goodbye."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._buffer = None, b""
