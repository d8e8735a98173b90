"""``flask events send`` and ``flask events errors``, on Artemis and on a file."""

from __future__ import annotations

import json
import queue
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from aspyx_event import RetryPolicy, current_envelope, event, event_listener
from aspyx_event.integrations.flask import AspyxEvent
from tests.faults.waiting import wait_until

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker

PATIENCE = 60.0


class Till:
    """An application that listens, and one of the same settings for the commands, as another process would have."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.closed = threading.Event()
        self.handled: queue.Queue[tuple[int, Any]] = queue.Queue()
        name = f"Coin{uuid.uuid4().hex[:8]}"

        @event(name, durable=True)
        @dataclass
        class Coin:
            cents: int

        @event_listener(Coin, name=f"till-{name}", retry=RetryPolicy(immediate=0, delayed=()))
        def till(event: Coin) -> None:
            if self.closed.is_set():
                raise ValueError(f"{event.cents} cents: the till is closed")
            self.handled.put((event.cents, current_envelope().get("shift")))

        self.event, self.listener = name, f"till-{name}"
        self._settings = {**settings, "PREFIX": name, "REGISTER": till}
        self.listening, self._asking = self._app(), self._app()

    def _app(self) -> Flask:
        app = Flask("till")
        app.config["ASPYX_EVENT"] = self._settings
        AspyxEvent(app)
        return app

    def run(self, *arguments: str, code: int = 0, **options: Any) -> str:
        """What a command writes to stdout."""
        result = self._asking.test_cli_runner().invoke(args=["events", *arguments], **options)
        assert result.exit_code == code, result.output
        return result.output

    def letters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("errors", "list", "--json"))
        return found


@pytest.fixture(params=["sqlite", pytest.param("artemis", marks=pytest.mark.artemis)])
def till(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Till]:
    settings = {"URL": f"sqlite:///{tmp_path / 'events.db'}"}
    if request.param == "artemis":
        pytest.importorskip("proton")
        broker: ArtemisBroker = request.getfixturevalue("artemis").start()
        settings = {"URL": f"amqp://127.0.0.1:{broker.amqp_port}/", "USER": broker.user, "PASSWORD": broker.password}
    made = Till(settings)
    lazy = made.listening.extensions["aspyx_event"].lazy
    lazy.start(listen=True)
    yield made
    lazy.stop()


def test_send(till: Till) -> None:
    """An event is named as in the application, made from JSON or stdin, with headers; nonsense ends with 2."""
    assert f"{till.event} one is confirmed" in till.run(
        "send", till.event, '{"cents": 5}', "--id", "one", "--header", "shift=late"
    )
    assert till.handled.get(timeout=PATIENCE) == (5, "late")
    till.run("send", till.event, "-", input='{"cents": 6}')
    assert till.handled.get(timeout=PATIENCE) == (6, None)
    assert "there are: " + till.event in till.run("send", "Nothing", "{}", code=2)
    assert "cents" in till.run("send", till.event, '{"cents": "many"}', code=2)


def test_errors(till: Till) -> None:
    """What failed is listed, shown, sent back to its listener, or discarded after a question."""
    till.closed.set()
    for cents in (1, 2):
        till.run("send", till.event, json.dumps({"cents": cents}), "--id", f"coin-{cents}")
    wait_until(lambda: len(till.letters()) == 2, "two dead letters")
    assert "coin-1" in till.run("errors", "list")
    assert "1 cents: the till is closed" in till.run("errors", "show", "coin-1")
    till.run("errors", "show", "coin-3", code=1)
    till.run("errors", "replay", code=2)
    till.closed.clear()
    assert "1 event replayed" in till.run("errors", "replay", "coin-1")
    assert till.handled.get(timeout=PATIENCE)[0] == 1
    till.run("errors", "discard", "--all", code=1, input="n\n")
    assert [letter["id"] for letter in till.letters()] == ["coin-2"]
    assert "1 event discarded" in till.run("errors", "discard", "--listener", till.listener, "--yes")
    assert till.letters() == []


def test_check_and_describe(till: Till) -> None:
    """Once a listener has started, ``check`` finds all that it needs; ``describe --json`` names its queue."""
    assert till.run("check").endswith("everything is there\n")
    [row] = json.loads(till.run("describe", "--json"))["wiring"]
    assert row["queue"] == f"{till.event}::{till.event}.{till.listener}"
