"""What TcpProxy breaks, and how it heals."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from aspyx_event.testing.proxy import TcpProxy
from tests.unit.testing.peers import SHORT, Peers, eventually, receive, send_quietly, silent


def test_cut_resets_every_connection(peers: Peers, proxy: TcpProxy) -> None:
    """After a cut both sides see a reset, and a new connection works."""
    pairs = [peers.pair() for _ in range(3)]
    proxy.cut()
    assert proxy.open_connections == 0
    for client, server in pairs:
        for sock in (client, server):
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
    client, server = peers.pair()
    client.sendall(b"x")
    assert receive(server, 1) == b"x"
    assert proxy.connections == 4


def test_cut_can_refuse_until_heal(peers: Peers, proxy: TcpProxy) -> None:
    """A refusing proxy answers new connections with a refusal; healed, it serves on the same port."""
    proxy.cut(refuse=True)
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            peers.client()
    proxy.cut(refuse=True)
    proxy.heal()
    client, server = peers.pair()
    client.sendall(b"x")
    assert receive(server, 1) == b"x"


def test_stall_holds_bytes_back_until_heal(peers: Peers, proxy: TcpProxy) -> None:
    """A stalled proxy takes bytes, forwards none, and forwards them all when it is healed."""
    client, server = peers.pair()
    proxy.stall()
    client.sendall(b"held")
    server.sendall(b"back")
    assert silent(server)
    assert silent(client)
    proxy.heal()
    assert receive(server, 4) == b"held"
    assert receive(client, 4) == b"back"


def test_stall_of_one_direction(peers: Peers, proxy: TcpProxy) -> None:
    """One direction stalls while the other goes on."""
    client, server = peers.pair()
    proxy.stall("down")
    client.sendall(b"up")
    assert receive(server, 2) == b"up"
    server.sendall(b"down")
    assert silent(client)
    proxy.heal()
    assert receive(client, 4) == b"down"


@pytest.mark.parametrize("count", [1, 10, 100_000])
def test_stall_after_so_many_bytes(peers: Peers, proxy: TcpProxy, count: int) -> None:
    """Exactly the given number of bytes passes, then nothing does until it is healed; the connection stays."""
    client, server = peers.pair()
    proxy.stall("up", after_bytes=count)
    sent = bytes(range(256)) * (count // 256 + 1)
    client.sendall(sent)
    assert receive(server, count) == sent[:count]
    assert silent(server)
    assert proxy.bytes_forwarded("up") == count
    server.sendall(b"down")
    assert receive(client, 4) == b"down"
    proxy.heal()
    assert receive(server, len(sent) - count) == sent[count:]
    client.sendall(b"x")
    assert receive(server, 1) == b"x"


def test_the_bytes_before_a_stall_are_those_of_all_connections(peers: Peers, proxy: TcpProxy) -> None:
    """What connections have forwarded together counts, in each direction by itself; then new ones are silent too."""
    proxy.stall(after_bytes=4)
    assert "stall-up-after=4 stall-down-after=4" in repr(proxy)
    first, first_server = peers.pair()
    second, second_server = peers.pair()
    first.sendall(b"abc")
    assert receive(first_server, 3) == b"abc"
    second.sendall(b"def")
    assert receive(second_server, 1) == b"d"
    assert silent(second_server)
    second_server.sendall(b"four")
    assert receive(second, 4) == b"four"
    third, third_server = peers.pair()
    third.sendall(b"x")
    assert silent(third_server)
    assert "stalled-down stalled-up" in repr(proxy)


@pytest.mark.parametrize("pieces", [[b"a question?"], [b"a ques", b"tion?"], [b"a ", b"q", b"uestion", b"?"]])
def test_stall_once_something_has_passed(peers: Peers, proxy: TcpProxy, pieces: list[bytes]) -> None:
    """The answer to bytes that are waited for is held back, however they arrive; what came before is not."""
    client, server = peers.pair()
    proxy.stall_once("down", b"question")
    assert "stall-down-once" in repr(proxy)
    client.sendall(b"quest")
    assert receive(server, 5) == b"quest"
    server.sendall(b"yes")
    assert receive(client, 3) == b"yes"
    assert not proxy.wait_for_stall("down", 0.05)
    for piece in pieces:
        client.sendall(piece)
        assert receive(server, len(piece)) == piece
    assert proxy.wait_for_stall("down")
    server.sendall(b"an answer")
    assert silent(client)
    client.sendall(b"hm")
    assert receive(server, 2) == b"hm"
    proxy.heal()
    assert receive(client, 9) == b"an answer"


def test_what_is_waited_for_is_looked_for_in_each_connection(peers: Peers, proxy: TcpProxy) -> None:
    """Halves that pass over two connections are no whole."""
    first, first_server = peers.pair()
    second, second_server = peers.pair()
    proxy.stall_once("down", b"question")
    first.sendall(b"ques")
    assert receive(first_server, 4) == b"ques"
    second.sendall(b"tion")
    assert receive(second_server, 4) == b"tion"
    assert not proxy.wait_for_stall("down", 0.05)
    first.sendall(b"tion")
    assert receive(first_server, 4) == b"tion"
    assert proxy.wait_for_stall("down")


def test_a_truncation_may_come_before_a_stall(peers: Peers, proxy: TcpProxy) -> None:
    """Both limits hold at once: the nearer one comes first."""
    client, server = peers.pair()
    proxy.stall("up", after_bytes=5)
    proxy.truncate("up", 3)
    client.sendall(b"abcdef")
    assert receive(server, 3) == b"abc"
    assert eventually(lambda: proxy.open_connections == 0)
    client, server = peers.pair()
    client.sendall(b"ghij")
    assert receive(server, 2) == b"gh"
    assert silent(server)


def test_a_stalled_proxy_holds_back_the_end_too(peers: Peers, proxy: TcpProxy) -> None:
    """Nobody learns through a stalled proxy that the other side has gone."""
    client, server = peers.pair()
    proxy.stall()
    client.close()
    assert silent(server)
    proxy.heal()
    assert server.recv(1) == b""


def test_deaf_accepts_and_does_nothing(peers: Peers, proxy: TcpProxy) -> None:
    """A deaf proxy accepts, and neither answers nor reaches the target; healed, it delivers what was sent."""
    proxy.deaf()
    client = peers.client()
    client.sendall(b"hello?")
    assert proxy.wait_for_connections(1, 5)
    assert silent(client)
    peers.listener.settimeout(SHORT)
    with pytest.raises(socket.timeout):
        peers.listener.accept()
    peers.listener.settimeout(5)
    proxy.heal()
    assert receive(peers.server(), 6) == b"hello?"


def test_deaf_silences_existing_connections(peers: Peers, proxy: TcpProxy) -> None:
    """Connections that were open before are silent, too."""
    client, server = peers.pair()
    proxy.deaf()
    client.sendall(b"x")
    assert silent(server)
    proxy.heal()
    assert receive(server, 1) == b"x"


def test_delay_is_a_lower_bound(peers: Peers, proxy: TcpProxy) -> None:
    """What is delayed arrives, in order, and not before its time."""
    client, server = peers.pair()
    proxy.delay(0.2)
    begin = time.monotonic()
    client.sendall(b"a")
    client.sendall(b"b")
    assert receive(server, 2) == b"ab"
    assert time.monotonic() - begin >= 0.2
    proxy.heal()
    begin = time.monotonic()
    client.sendall(b"c")
    assert receive(server, 1) == b"c"
    assert time.monotonic() - begin < 0.2


@pytest.mark.parametrize("count", [0, 1, 10, 100_000])
def test_truncate_forwards_exactly(peers: Peers, proxy: TcpProxy, count: int) -> None:
    """Exactly the given number of bytes passes, then the connection ends."""
    client, server = peers.pair()
    proxy.truncate("up", count)
    if count:
        threading.Thread(target=send_quietly, args=(client, b"x" * (count + 1000)), daemon=True).start()
    data = b""
    while True:
        try:
            piece = server.recv(65536)
        except ConnectionResetError:
            break
        if not piece:
            break
        data += piece
    assert len(data) == count
    assert eventually(lambda: proxy.open_connections == 0)
    assert proxy.bytes_forwarded("up") == count


def test_truncate_happens_once(peers: Peers, proxy: TcpProxy) -> None:
    """After the cut the next connection is whole again."""
    client, server = peers.pair()
    proxy.truncate("down", 2)
    server.sendall(b"abcdef")
    assert receive(client, 2) == b"ab"
    client, server = peers.pair()
    server.sendall(b"abcdef")
    assert receive(client, 6) == b"abcdef"
