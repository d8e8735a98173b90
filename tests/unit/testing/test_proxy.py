"""TcpProxy as a proxy: forwarding, counting, its end."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from aspyx_event.testing.proxy import TcpProxy
from tests.unit.testing.peers import HOST, Peers, eventually, receive, send_quietly


def test_forwards_both_ways_and_counts(peers: Peers, proxy: TcpProxy) -> None:
    """Bytes pass in both directions, and are counted."""
    client, server = peers.pair()
    client.sendall(b"question")
    assert receive(server, 8) == b"question"
    server.sendall(b"answer")
    assert receive(client, 6) == b"answer"
    assert proxy.wait_for_bytes("up", 8, 5)
    assert proxy.wait_for_bytes("down", 6, 5)
    assert (proxy.bytes_forwarded("up"), proxy.bytes_forwarded("down")) == (8, 6)
    assert (proxy.connections, proxy.open_connections) == (1, 1)


def test_forwards_megabytes_while_both_talk(peers: Peers) -> None:
    """Much data in both directions at once arrives whole and unchanged."""
    client, server = peers.pair()
    data = bytes(range(256)) * 4096 * 8
    got: dict[str, bytes] = {}
    jobs = [
        threading.Thread(target=client.sendall, args=(data,)),
        threading.Thread(target=server.sendall, args=(data[::-1],)),
        threading.Thread(target=lambda: got.update(up=receive(server, len(data)))),
        threading.Thread(target=lambda: got.update(down=receive(client, len(data)))),
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(20)
    assert got["up"] == data
    assert got["down"] == data[::-1]


def test_half_close_passes(peers: Peers) -> None:
    """One side may end its direction and still receive."""
    client, server = peers.pair()
    client.sendall(b"last")
    client.shutdown(socket.SHUT_WR)
    assert receive(server, 4) == b"last"
    assert server.recv(1) == b""
    server.sendall(b"reply")
    assert receive(client, 5) == b"reply"


def test_the_end_of_both_sides_ends_the_pair(peers: Peers, proxy: TcpProxy) -> None:
    """A connection that both sides ended is forgotten."""
    client, server = peers.pair()
    client.close()
    assert server.recv(1) == b""
    server.close()
    assert eventually(lambda: proxy.open_connections == 0)


def test_a_target_that_refuses_looks_like_a_reset(peers: Peers, proxy: TcpProxy) -> None:
    """Without a target the client is disconnected at once."""
    peers.listener.close()
    with pytest.raises(ConnectionResetError):
        peers.client().recv(1)


def test_a_reset_of_one_side_reaches_the_other(peers: Peers, proxy: TcpProxy) -> None:
    """A peer that dies resets the peer behind the proxy."""
    client, server = peers.pair()
    client.sendall(b"x")
    assert receive(server, 1) == b"x"
    server.sendall(b"unread")
    assert proxy.wait_for_bytes("down", 6, 5)
    client.close()  # with unread bytes: the kernel answers with a reset
    with pytest.raises(ConnectionResetError):
        server.recv(1)


def test_waiting_has_a_deadline(proxy: TcpProxy) -> None:
    """Waiting for what does not happen ends."""
    assert not proxy.wait_for_connections(1, 0.05)
    assert not proxy.wait_for_bytes("up", 1, 0.05)


def test_a_taken_port_is_an_error(peers: Peers) -> None:
    """A listen port that is in use raises and leaves nothing behind."""
    with pytest.raises(OSError, match="in use"):
        TcpProxy(HOST, 1, listen_port=peers.proxy.port)


def test_close_is_idempotent_and_final(peers: Peers, proxy: TcpProxy) -> None:
    """A closed proxy resets its connections, refuses new ones, and takes no commands."""
    client, _ = peers.pair()
    proxy.close()
    proxy.close()
    assert not [thread for thread in threading.enumerate() if thread.name == f"aspyx-proxy-{proxy.port}"]
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        peers.client()
    with pytest.raises(RuntimeError, match="closed"):
        proxy.cut()
    assert "closed" in repr(proxy)


@pytest.mark.parametrize("fault", ["heal", "stall", "deaf", "refuse"])
@pytest.mark.parametrize("connecting", [False, True])
def test_idle_costs_no_cpu(peers: Peers, proxy: TcpProxy, fault: str, connecting: bool) -> None:
    """Whatever it simulates, and whatever waits in it, the proxy's thread waits instead of spinning."""
    client, _ = peers.pair()
    commands = {"heal": proxy.heal, "stall": proxy.stall, "deaf": proxy.deaf, "refuse": lambda: proxy.cut(refuse=True)}
    commands[fault]()
    if fault != "refuse":
        send_quietly(client, b"x")
        if connecting:
            send_quietly(peers.client(), b"x")
    begin = time.process_time()
    threading.Event().wait(0.3)
    assert time.process_time() - begin < 0.1


def test_commands_from_many_threads(peers: Peers, proxy: TcpProxy) -> None:
    """Commands may come from any thread at any time, while connections come and go."""
    commands = [proxy.cut, proxy.stall, proxy.heal, proxy.deaf, lambda: proxy.delay(0.01), proxy.heal]

    def work(offset: int) -> None:
        for step in range(30):
            commands[(step + offset) % len(commands)]()
            with contextlib.suppress(ConnectionError), socket.create_connection((HOST, proxy.port), timeout=5) as sock:
                sock.sendall(b"x")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    proxy.heal()
    assert proxy.connections <= 120


def test_repr_shows_the_state(proxy: TcpProxy) -> None:
    """The repr says what is wrong at the moment."""
    assert "forwarding" in repr(proxy)
    proxy.stall("up")
    proxy.delay(1)
    assert "stalled-up delay=1" in repr(proxy)
