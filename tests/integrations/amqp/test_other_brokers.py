"""Brokers this library does not know over AMQP 1.0: a real one, under another name in its open frame."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.amqp.dialects import dialect_for
from aspyx_event.providers.amqp.settings import AMQPSettings
from tests.brokers.artemis import ArtemisBroker
from tests.integrations.amqp.conftest import MakeProvider

pytestmark = pytest.mark.artemis

OWN_NAME, OTHER_NAME = b"apache-activemq-artemis", b"somebody-elses-broker-1"


def _pump(source: socket.socket, target: socket.socket) -> None:
    with source, target, suppress(OSError):  # either side may have gone
        while data := source.recv(65536):
            target.sendall(data.replace(OWN_NAME, OTHER_NAME))
        target.shutdown(socket.SHUT_WR)


@contextmanager
def _renamed(port: int) -> Iterator[int]:
    """A port where the broker's open frame has another word, of as many bytes, for what it is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        pumps: list[threading.Thread] = []

        def serve() -> None:
            client, _ = server.accept()
            with client, socket.create_connection(("127.0.0.1", port)) as broker:
                for source, target in ((client, broker), (broker, client)):
                    pump = threading.Thread(target=_pump, args=(source.dup(), target.dup()))
                    pumps.append(pump)
                    pump.start()

        accepting = threading.Thread(target=serve)
        accepting.start()
        yield server.getsockname()[1]
        for thread in (accepting, *pumps):
            thread.join(10)


def test_a_broker_without_a_dialect_is_refused(make_provider: MakeProvider, artemis: ArtemisBroker) -> None:
    """start() on a broker of another kind fails at once, with what it calls itself and what is supported."""
    with _renamed(artemis.start().amqp_port) as port, pytest.raises(ConfigurationError) as refused:
        make_provider(port=port)
    assert f"calls itself '{OTHER_NAME.decode()}'" in str(refused.value)
    assert "speaks to artemis" in str(refused.value)
    assert "broker=" in str(refused.value)


def test_activemq_classic_is_sent_to_stomp() -> None:
    """ActiveMQ Classic, which calls itself ActiveMQ over AMQP 1.0, is refused with the protocol that works."""
    with pytest.raises(ConfigurationError, match="StompProvider"):
        dialect_for("ActiveMQ", "5.18.3", AMQPSettings())


@pytest.mark.parametrize("host", ["shop.servicebus.windows.net", "Shop.ServiceBus.Windows.NET."])
def test_azure_service_bus_is_refused_by_its_name(host: str) -> None:
    """A host of Azure Service Bus is refused before anything is tried, and the error says why."""
    with pytest.raises(ConfigurationError, match=r"host='.*'.: Azure Service Bus is not supported.*cannot be created"):
        AMQPSettings(host=host)
    with pytest.raises(ConfigurationError, match="Azure Service Bus"):
        AMQPSettings(hosts=(("127.0.0.1", 5672), (host, 5671)))
