"""``topology check`` and ``topology export``, as far as they need no broker."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("click")
pytest.importorskip("proton")

from aspyx_event import EventManager, EventRegistry, LocalProvider
from aspyx_event.cli.main import main

STOCK = "tests.unit.sample.stock"
CORE = "{urn:activemq:core}"


@pytest.fixture(autouse=True)
def no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "APP"):
        monkeypatch.delenv(f"ASPYX_EVENT_{name}", raising=False)


def exported(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["topology", "export", STOCK, *arguments]) == 0
    return capsys.readouterr().out


def test_the_piece_of_broker_xml(capsys: pytest.CaptureFixture[str]) -> None:
    """Addresses with their queues, settings for durable events, and the dead letter address."""
    core = ET.fromstring(exported(capsys, "--broker", "artemis"))
    found = {
        address.attrib["name"]: [
            (branch.tag[len(CORE) :], queue.attrib["name"], queue.findtext(f"{CORE}durable", ""))
            for branch in address
            for queue in branch.findall(f"{CORE}queue")
        ]
        for address in core.iterfind(f"{CORE}addresses/{CORE}address")
    }
    assert found == {
        "error": [("anycast", "error", "true")],
        "Counted": [("multicast", "ledger", "true")],
        "stock.seen": [("multicast", "screen", "false")],
        "DLQ": [("anycast", "DLQ", "")],
        "aspyx_event.replies": [],
    }
    (setting,) = core.iterfind(f"{CORE}address-settings/{CORE}address-setting")
    assert setting.attrib == {"match": "Counted"}
    assert {option.tag[len(CORE) :]: option.text for option in setting} == {
        "dead-letter-address": "DLQ",
        "max-delivery-attempts": "10",
        "auto-delete-queues": "false",
        "auto-delete-addresses": "false",
    }


def test_the_application_of_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without MODULE, both commands take the application that ASPYX_EVENT_APP, or --app, names."""
    wanted = exported(capsys, "--broker", "artemis")
    assert main(["topology", "export", "--app", STOCK, "--broker", "artemis"]) == 0
    assert capsys.readouterr().out == wanted
    monkeypatch.setenv("ASPYX_EVENT_APP", STOCK)
    assert main(["topology", "export", "--broker", "artemis"]) == 0
    assert capsys.readouterr().out == wanted
    assert main(["topology", "check", "--url", "local://"]) == 1
    assert "3 differences" in capsys.readouterr().out


def test_definitions(capsys: pytest.CaptureFixture[str]) -> None:
    """Exchanges, queues and bindings for both protocols; numbers stay numbers."""
    found = json.loads(exported(capsys, "--format", "rabbitmq"))
    assert {exchange["name"] for exchange in found["exchanges"]} == {"Counted", "stock.seen"}
    queues = {queue["name"]: queue["arguments"] for queue in found["queues"]}
    assert queues == {
        "error": {"x-queue-type": "classic"},
        "Counted::ledger": {
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": "error",
            "x-queue-type": "quorum",
        },
        "stock.seen::screen": {"x-queue-type": "classic", "x-expires": 60000},
    }
    ends = {(b["source"], b["destination"], b["destination_type"], b["routing_key"]) for b in found["bindings"]}
    assert ("Counted", "Counted::ledger", "queue", "Counted") in ends
    assert ("amq.topic", "stock.seen", "exchange", "stock.seen") in ends
    [policy] = found["policies"]
    assert (policy["name"], policy["apply-to"]) == ("aspyx_event", "quorum_queues")
    assert policy["definition"] == {"dead-letter-strategy": "at-least-once", "overflow": "reject-publish"}
    for queue in ("Counted::ledger", "Counted::ledger.retry.1000.490000", "Counted.delay.1000.490000"):
        assert re.search(policy["pattern"], queue)
    assert not re.search(policy["pattern"], "somebody.else")


def test_names_come_from_the_url(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Prefix, error queue, virtual host and protocol are those of the URL; a file is written on request."""
    output = tmp_path / "definitions.json"
    pytest.importorskip("stomp")
    url = "stomp://me@nowhere/?prefix=shop&virtual_host=blue"
    assert exported(capsys, "--url", url, "--broker", "rabbitmq", "--output", str(output)) == ""
    found = json.loads(output.read_text())
    assert {queue["name"] for queue in found["queues"]} == {
        "shop.error",
        "Counted::shop.ledger",
        "stock.seen::shop.screen",
    }
    assert {entry["vhost"] for kind in found.values() for entry in kind} == {"blue"}
    assert {binding["source"] for binding in found["bindings"]} == {"amq.topic"}
    over_amqp = json.loads(exported(capsys, "--url", "amqp://nowhere/?broker=rabbitmq&virtual_host=vhost:blue"))
    assert {entry["vhost"] for kind in over_amqp.values() for entry in kind} == {"blue"}


def test_queues_of_processes_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A queue that is called after this process is of no use to another; with a fixed name it is."""
    assert main(["topology", "export", STOCK, "--broker", "artemis"]) == 0
    captured = capsys.readouterr()
    assert "left out: cache (per_process)" in captured.err
    assert "cache" not in captured.out
    text = exported(capsys, "--broker", "artemis", "--url", "amqp://nowhere/?server_name=one")
    assert 'name="cache-one"' in text


def test_checking(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """0 when all is there, 1 when not; as text and as JSON; the URL may come from the environment."""
    registry = EventRegistry()
    registry.scan(STOCK)
    monkeypatch.setenv("ASPYX_EVENT_URL", "local://cli-check")
    assert main(["topology", "check", STOCK]) == 1
    text = capsys.readouterr().out
    assert "missing: queue 'Counted::ledger' (used by ledger)" in text
    assert "3 differences" in text
    assert main(["topology", "check", STOCK, "--json"]) == 1
    assert [entry["problem"] for entry in json.loads(capsys.readouterr().out)] == ["missing"] * 3
    with EventManager(LocalProvider("cli-check"), registry=registry):
        assert main(["topology", "check", STOCK]) == 0
        assert "everything is there" in capsys.readouterr().out
        assert main(["topology", "check", STOCK, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["check", STOCK], "ASPYX_EVENT_URL"),
        (["export", STOCK], "--broker"),
        (["export", STOCK, "--broker", "artemis", "--format", "rabbitmq"], "--format rabbitmq"),
        (["export", STOCK, "--url", "amqp://h/?broker=artemis", "--broker", "rabbitmq"], "broker=artemis"),
        (["export", STOCK, "--url", "local://"], "no configuration to export"),
        (["export", STOCK, "--broker", "kafka"], "kafka"),
        (["export", STOCK, "--broker", "artemis", "--output", "/nowhere/at/all"], "/nowhere/at/all"),
        (["export", "tests.docs.pages", "--broker", "artemis"], "no event"),
        (["check", "no.such.module", "--url", "local://"], "no.such.module"),
        (["check", STOCK, "--url", "amqp://h/#?/"], "percent-encoded"),
        (["check", STOCK, "--url", "amqp://me:s3cret@h/"], "ASPYX_EVENT_PASSWORD"),
        (["check", STOCK, "--url", "local://", "--timeout", "0"], "--timeout"),
        (["check"], "MODULE"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_usage(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and a sentence that says what is wrong, without a password."""
    assert main(["topology", *arguments]) == 2
    captured = capsys.readouterr()
    assert word in captured.err
    assert "s3cret" not in captured.err + captured.out


def test_a_broker_that_does_not_answer(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3: nothing is known, and nothing is pretended."""
    monkeypatch.setenv("ASPYX_EVENT_URL", "amqp://me:s3cret@127.0.0.1:1/")
    assert main(["topology", "check", STOCK, "--timeout", "0.5"]) == 3
    captured = capsys.readouterr()
    assert "127.0.0.1:1" in captured.err
    assert "s3cret" not in captured.err + captured.out


def test_without_click(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence says what to install."""
    found: Any = lambda _name: None  # noqa: E731
    monkeypatch.setattr("importlib.util.find_spec", found)
    assert main(["topology", "check", STOCK]) == 2
    assert "pip install aspyx-event[cli]" in capsys.readouterr().err
