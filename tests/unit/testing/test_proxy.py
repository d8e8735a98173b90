"""The TCP proxy, between a plain client and an echo server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from aspyx_event.testing.proxy import TcpProxy


class Echo:
    """A server that sends back what it gets."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve, name="echo")]
        self._threads[0].start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._echo, args=(connection,), name="echo-connection")
            self._threads.append(thread)
            thread.start()

    @staticmethod
    def _echo(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", echo.port) as made:
        yield made


def connect(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def ask(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    answer = b""
    while len(answer) < len(data):
        piece = client.recv(65536)
        if not piece:
            break
        answer += piece
    return answer


def test_it_forwards_both_ways(proxy: TcpProxy) -> None:
    """A mebibyte goes through and comes back, and is counted."""
    data = b"0123456789abcdef" * 65536
    with connect(proxy) as client:
        sender = threading.Thread(target=client.sendall, args=(data,), name="sender")
        sender.start()
        answer = b""
        while len(answer) < len(data):
            answer += client.recv(65536)
        sender.join()
    assert answer == data
    assert proxy.bytes_forwarded("up") == len(data)
    assert proxy.wait_for_connections(1)


def test_cut_resets_connections_and_new_ones_work(proxy: TcpProxy) -> None:
    """A cut ends what is connected; a new connection is served."""
    with connect(proxy) as client:
        assert ask(client, b"a") == b"a"
        proxy.cut()
        with pytest.raises(ConnectionError):
            client.recv(1)
    with connect(proxy) as client:
        assert ask(client, b"b") == b"b"


def test_refusing_until_healed(proxy: TcpProxy) -> None:
    """cut(refuse=True) refuses new connections on the same port until heal()."""
    proxy.cut(refuse=True)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.heal()
    with connect(proxy) as client:
        assert ask(client, b"c") == b"c"


def test_stalled_bytes_come_after_healing(proxy: TcpProxy) -> None:
    """A stalled direction takes bytes and forwards them only when it is healed."""
    with connect(proxy) as client:
        assert ask(client, b"a") == b"a"
        proxy.stall("up")
        client.sendall(b"late")
        client.settimeout(0.2)
        with pytest.raises(OSError, match="timed out"):
            client.recv(1)
        proxy.heal()
        client.settimeout(5)
        assert client.recv(16) == b"late"


def test_a_deaf_proxy_accepts_and_says_nothing(proxy: TcpProxy) -> None:
    """A deaf proxy accepts connections and neither reads nor forwards."""
    proxy.deaf()
    with connect(proxy) as client:
        client.sendall(b"anybody?")
        client.settimeout(0.2)
        with pytest.raises(OSError, match="timed out"):
            client.recv(1)
        assert proxy.bytes_forwarded("up") == 0
        proxy.heal()
        client.settimeout(5)
        assert client.recv(16) == b"anybody?"


def test_delay(proxy: TcpProxy) -> None:
    """Bytes are forwarded late by the delay, each way."""
    proxy.delay(0.2)
    with connect(proxy) as client:
        began = time.monotonic()
        assert ask(client, b"x") == b"x"
        assert time.monotonic() - began >= 0.4


def test_truncate_forwards_exactly_so_many_bytes(proxy: TcpProxy) -> None:
    """truncate forwards the given number of further bytes and then closes."""
    with connect(proxy) as client:
        assert ask(client, b"abc") == b"abc"
        proxy.truncate("down", 2)
        client.sendall(b"defgh")
        received = b""
        while piece := client.recv(16):
            received += piece
    assert received == b"de"


def test_closing_leaves_nothing(echo: Echo) -> None:
    """A closed proxy has no thread and no port, and commands to it are an error."""
    proxy = TcpProxy("127.0.0.1", echo.port)
    with connect(proxy) as client:
        assert ask(client, b"a") == b"a"
        proxy.close()
        proxy.close()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    with pytest.raises(RuntimeError):
        proxy.cut()
