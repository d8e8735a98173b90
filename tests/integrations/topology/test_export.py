"""What ``topology export`` writes is what a real broker takes, and all that a provider with declare=False needs."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("click")
pytest.importorskip("proton")
pytest.importorskip("stomp")

from aspyx_event import EventManager, EventRegistry, Outcome, Result
from aspyx_event.cli.main import main
from tests.brokers.artemis import ArtemisBroker
from tests.integrations.amqp.support import unique
from tests.integrations.stomp.rabbit import api
from tests.integrations.topology.support import PROTOCOLS
from tests.unit.sample import stock
from tests.unit.support import Collected

if TYPE_CHECKING:
    from tests.brokers.rabbitmq import RabbitMQBroker

STOCK = "tests.unit.sample.stock"
CORE = "{urn:activemq:core}"
HOSTS = {"amqp": "vhost:{}", "stomp": "{}"}


class ConfiguredBroker(ArtemisBroker):
    """An Artemis whose configuration has been completed with an exported piece, and that creates nothing by itself."""

    piece: Path

    def prepare(self) -> None:
        super().prepare()
        ET.register_namespace("", "urn:activemq:core")
        file = self.directory / "instance" / "etc" / "broker.xml"
        tree, piece = ET.parse(file), ET.parse(self.piece).getroot()
        for kind, name in (("address-settings", "match"), ("addresses", "name")):
            parent = tree.getroot().find(f"{{urn:activemq:core}}core/{CORE}{kind}")
            assert parent is not None
            known = {child.attrib[name] for child in parent}
            parent.extend([child for child in piece.find(f"{CORE}{kind}") or () if child.attrib[name] not in known])
        for setting in ("auto-create-queues", "auto-create-addresses"):
            for element in tree.getroot().iter(f"{CORE}{setting}"):
                element.text = "false"
        tree.write(file)


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory, artemis: ArtemisBroker) -> Iterator[ArtemisBroker]:
    """It runs with what was exported; ``artemis`` has seen to its installation."""
    piece = tmp_path_factory.mktemp("export") / "piece.xml"
    assert main(["topology", "export", STOCK, "--broker", "artemis", "--output", str(piece)]) == 0
    ConfiguredBroker.piece = piece
    with ConfiguredBroker() as broker:
        yield broker


def url(protocol: str, broker: Any, **options: str) -> str:
    port = broker.amqp_port if protocol == "amqp" else broker.stomp_port
    query = "&".join(f"{key}={value}" for key, value in options.items())
    return f"{protocol}://{broker.user}:{broker.password}@{broker.host}:{port}/?{query}"


def warnings_of(caplog: pytest.LogCaptureFixture, listening: str, sending: str = "") -> list[str]:
    """Send both events, and handle them, through managers with declare=False; what they warned of."""
    handled = Collected[Outcome]()
    registry = EventRegistry()
    registry.register(stock.enter, stock.show)
    caplog.clear()
    with (
        caplog.at_level(logging.WARNING, "aspyx_event"),
        EventManager(listening, registry=registry, observers=[handled]) as listener,
    ):
        with EventManager(sending) if sending else contextlib.nullcontext(listener) as sender:
            sender.send_event(stock.Counted(1))
            sender.send_event(stock.Seen(2))
        assert {(outcome.listener, outcome.result) for outcome in handled.wait(2)} == {
            ("ledger", Result.HANDLED),
            ("screen", Result.HANDLED),
        }
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


@contextlib.contextmanager
def a_virtual_host(broker: RabbitMQBroker) -> Iterator[str]:
    """One that holds nothing yet."""
    name = unique("export")
    api(broker, "PUT", f"/vhosts/{name}")
    api(broker, "PUT", f"/permissions/{name}/{broker.user}", {"configure": ".*", "write": ".*", "read": ".*"})
    try:
        yield name
    finally:
        api(broker, "DELETE", f"/vhosts/{name}")


@pytest.mark.artemis
@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_artemis_takes_it(
    configured: ArtemisBroker,
    protocol: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broker with the exported piece, and without auto-creation, is all that is needed; the check says so too."""
    monkeypatch.setenv("ASPYX_EVENT_URL", url(protocol, configured))
    assert main(["topology", "check", STOCK]) == 0, capsys.readouterr().out
    assert warnings_of(caplog, url(protocol, configured, declare="false")) == []


@pytest.mark.rabbitmq
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_rabbitmq_takes_it(
    rabbitmq: RabbitMQBroker,
    protocol: str,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A virtual host with the imported definitions is all that is needed; the check says so too."""
    broker, output = rabbitmq.start(), tmp_path / "definitions.json"
    with a_virtual_host(broker) as name:
        host = HOSTS[protocol].format(name)
        address = url(protocol, broker, virtual_host=host)
        monkeypatch.setenv("ASPYX_EVENT_URL", address)
        assert main(["topology", "export", STOCK, "--output", str(output)]) == 0
        api(broker, "POST", "/definitions", json.loads(output.read_text()))
        assert [policy["name"] for policy in api(broker, "GET", f"/policies/{name}")] == ["aspyx_event"]
        assert main(["topology", "check", STOCK]) == (0 if protocol == "amqp" else 1)
        assert main(["topology", "check", STOCK, "--allow-unknown"]) == 0
        warnings = warnings_of(caplog, url(protocol, broker, virtual_host=host, declare="false"))
        assert len(warnings) == (0 if protocol == "amqp" else 1)


@pytest.mark.rabbitmq
@pytest.mark.parametrize(("sending", "listening"), [PROTOCOLS, PROTOCOLS[::-1]])
def test_definitions_for_both_protocols(
    rabbitmq: RabbitMQBroker, sending: str, listening: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """What is exported without a URL lets AMQP and STOMP reach each other."""
    broker, output = rabbitmq.start(), tmp_path / "definitions.json"
    assert main(["topology", "export", STOCK, "--broker", "rabbitmq", "--output", str(output)]) == 0
    with a_virtual_host(broker) as name:
        definitions = json.loads(output.read_text())
        for entry in (entry for kind in definitions.values() for entry in kind):
            entry["vhost"] = name
        api(broker, "POST", "/definitions", definitions)
        here, there = (
            url(protocol, broker, virtual_host=HOSTS[protocol].format(name), declare="false")
            for protocol in (listening, sending)
        )
        warnings_of(caplog, here, there)
