"""What holds for every kind of broker, seen over STOMP, which all of them speak."""

from __future__ import annotations

import socket

import pytest

from .base import Broker


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("artemis", marks=pytest.mark.artemis),
        pytest.param("rabbitmq", marks=[pytest.mark.rabbitmq, pytest.mark.slow]),
        pytest.param("activemq", marks=pytest.mark.activemq),
    ],
)
def test_a_broker_comes_back_on_the_same_ports(name: str, request: pytest.FixtureRequest) -> None:
    """It serves after a stop and after a kill, and serves nobody in between."""
    broker: Broker = request.getfixturevalue(name)
    assert _answer(broker).startswith(b"CONNECTED")
    for end in (broker.stop, broker.kill):
        end()
        assert not broker.running
        with pytest.raises(ConnectionError):
            _answer(broker)
        broker.start()
        assert _answer(broker).startswith(b"CONNECTED")
    assert not _answer(broker, password="wrong").startswith(b"CONNECTED")


def _answer(broker: Broker, password: str | None = None) -> bytes:
    port: int = broker.stomp_port  # type: ignore[attr-defined]
    headers = {
        "accept-version": "1.2",
        "host": "/",
        "login": broker.user,
        "passcode": password or broker.password,
    }
    frame = "CONNECT\n" + "".join(f"{key}:{value}\n" for key, value in headers.items()) + "\n\0"
    with socket.create_connection((broker.host, port), 10) as connection:
        connection.settimeout(10)
        connection.sendall(frame.encode())
        return connection.recv(4096)
