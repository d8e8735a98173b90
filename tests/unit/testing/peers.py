"""Plain sockets on both sides of a TcpProxy."""

from __future__ import annotations

import socket
import threading
import time
from typing import Callable

from aspyx_event.testing.proxy import TcpProxy

HOST = "127.0.0.1"
SHORT = 0.15


class Peers:
    """A listening socket and a proxy before it; makes connected pairs of client and server sockets."""

    def __init__(self) -> None:
        self.listener = socket.create_server((HOST, 0))
        self.listener.settimeout(5)
        self.proxy = TcpProxy(HOST, self.listener.getsockname()[1])
        self._open: list[socket.socket] = []

    def client(self) -> socket.socket:
        client = socket.create_connection((HOST, self.proxy.port), timeout=5)
        self._open.append(client)
        return client

    def server(self) -> socket.socket:
        server, _ = self.listener.accept()
        server.settimeout(5)
        self._open.append(server)
        return server

    def pair(self) -> tuple[socket.socket, socket.socket]:
        client = self.client()
        return client, self.server()

    def close(self) -> None:
        self.proxy.close()
        for sock in (*self._open, self.listener):
            sock.close()


def receive(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        assert piece, f"the end after {len(data)} of {count} bytes"
        data += piece
    return data


def silent(sock: socket.socket, seconds: float = SHORT) -> bool:
    """Whether nothing, not even an end, arrives for a while."""
    sock.settimeout(seconds)
    try:
        sock.recv(1, socket.MSG_PEEK)
    except socket.timeout:
        return True
    finally:
        sock.settimeout(5)
    return False


def eventually(condition: Callable[[], bool], timeout: float = 5) -> bool:
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.01)
    return True


def send_quietly(sock: socket.socket, data: bytes) -> None:
    """Send to a peer that may be gone."""
    try:
        sock.sendall(data)
    except OSError:
        return
