"""The command line on every pair of protocol and broker: listen, send, and what is done about events that failed."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import pytest

pytest.importorskip("click")
pytest.importorskip("proton")
pytest.importorskip("stomp")

from aspyx_event.cli.main import main
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from tests.brokers import Broker

PATIENCE = 60.0

APPLICATION = """
import os
from dataclasses import dataclass
from pathlib import Path

from aspyx_event import RetryPolicy, event, event_listener

HERE = Path(__file__).parent
NEVER = RetryPolicy(immediate=0, delayed=())


@event(durable=True)
@dataclass
class Ordered:
    id: int
    note: str = ""


def handle(name, order):
    if (HERE / "broken").exists():
        raise ConnectionError(f"{name} does not answer")
    with (HERE / "handled").open("a") as file:
        file.write(f"{name} {order.id} {order.note}\\n")


@event_listener(Ordered, retry=NEVER)
def billing(event: Ordered) -> None:
    handle("billing", event)


@event_listener(Ordered, retry=NEVER)
def shipping(event: Ordered) -> None:
    handle("shipping", event)
"""

PAIRS = [
    pytest.param((f"{protocol}/{broker}", stop), marks=getattr(pytest.mark, broker), id=f"{protocol}/{broker}")
    for protocol, broker, stop in (
        ("amqp", "artemis", signal.SIGINT),
        ("amqp", "rabbitmq", signal.SIGTERM),
        ("stomp", "artemis", signal.SIGTERM),
        ("stomp", "rabbitmq", signal.SIGINT),
        ("stomp", "activemq", signal.SIGTERM),
    )
]


class Shop:
    """An application in a folder of its own, under a prefix of its own, and a terminal beside it."""

    def __init__(self, folder: Path, protocol: str, broker: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.module = f"shop_{uuid.uuid4().hex[:8]}"
        (folder / f"{self.module}.py").write_text(APPLICATION)
        self.broken = folder / "broken"
        port = broker.amqp_port if protocol == "amqp" else broker.stomp_port
        self.secret: str = broker.password
        self.environment = {
            "ASPYX_EVENT_URL": f"{protocol}://{broker.user}@{broker.host}:{port}/",
            "ASPYX_EVENT_PASSWORD": broker.password,
            "ASPYX_EVENT_PREFIX": self.module,
        }
        self.seen: list[str] = []
        self._capsys = capsys

    def run(self, *arguments: str, code: int = 0) -> str:
        """A command, in this process; its output."""
        capsys = self._capsys
        capsys.readouterr()
        found = main([*arguments])
        captured = capsys.readouterr()
        self.seen += [captured.out, captured.err]
        assert found == code, f"{arguments}: exit code {found}\n{captured.out}\n{captured.err}"
        return captured.out

    def listed(self, *arguments: str) -> list[tuple[str, str]]:
        """Id and listener of each dead letter, sorted."""
        return sorted(
            (one["id"], one["listener"]) for one in json.loads(self.run("errors", "list", *arguments, "--json"))
        )

    def wait_for_list(self, expected: list[tuple[str, str]]) -> None:
        """Wait until those are in the error queue; a busy machine needs a while."""
        deadline, pause = time.monotonic() + PATIENCE, threading.Event()
        while (found := self.listed()) != expected:
            assert time.monotonic() < deadline, found
            pause.wait(0.1)

    def wait_for_handled(self, *expected: str) -> None:
        """Wait until these lines were written by the listeners."""
        deadline, pause, file = time.monotonic() + PATIENCE, threading.Event(), self.folder / "handled"
        while not set(expected) <= set(file.read_text().splitlines() if file.exists() else ()):
            assert time.monotonic() < deadline, file.read_text() if file.exists() else "nothing was handled"
            pause.wait(0.05)


class Listening:
    """``aspyx-event listen`` as a process."""

    def __init__(self, shop: Shop, *arguments: str) -> None:
        self.lines: list[str] = []
        self._came: queue.SimpleQueue[Optional[str]] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "aspyx_event", "listen", shop.module, "--every", "0.1", *arguments],
            cwd=shop.folder,
            env={**os.environ, **shop.environment, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, word: str) -> None:
        """Wait for a line with this in it."""
        deadline = time.monotonic() + PATIENCE
        while not any(word in line for line in self.lines):
            try:
                line = self._came.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"no {word!r} in:\n{''.join(self.lines)}"

    def stop(self, number: int) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def close(self) -> None:
        """End it, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        with self.process:
            self._reader.join(5)

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line)
            self._came.put(line)
        self._came.put(None)


@pytest.fixture
def shop(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[tuple[Shop, int]]:
    pair, stop = request.param
    protocol, _, name = pair.partition("/")
    broker: Broker = request.getfixturevalue(name).start()
    made = Shop(tmp_path, protocol, broker, capsys)
    for variable, value in made.environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield made, stop
    sys.modules.pop(made.module, None)


@pytest.mark.slow
@pytest.mark.parametrize("shop", PAIRS, indirect=True)
def test_failed_events_are_found_and_mended(shop: tuple[Shop, int]) -> None:
    """Listen, send, list, show, replay and discard, with filters, two failures of one id, and no password anywhere."""
    at, stop = shop
    at.broken.touch()
    listening = Listening(at)
    try:
        listening.wait_for("listening")
        for number in (1, 2):
            body = json.dumps({"id": number, "note": "ü"})
            sent = at.run("send", f"{at.module}:Ordered", body, "--id", f"order-{number}", "--header", "tenant=t")
            assert sent == f"Ordered order-{number} is confirmed\n"
        everything = [(f"order-{n}", name) for n in (1, 2) for name in ("billing", "shipping")]
        at.wait_for_list(everything)
        assert at.listed("--listener", "shipping") == [("order-1", "shipping"), ("order-2", "shipping")]
        assert at.listed("--type", "Ordered", "--since", "1h", "--limit", "3", "--listener", "nobody") == []
        assert len(at.listed("--limit", "1")) == 1
        [shown] = json.loads(at.run("errors", "show", "order-2", "--listener", "billing", "--json"))
        assert (shown["body"], shown["headers"]["tenant"]) == ('{"id":2,"note":"ü"}', "t")
        assert "billing does not answer" in at.run("errors", "show", "order-2")
        assert len(at.listed()) == 4, "looking takes nothing away"

        at.broken.unlink()
        replayed = at.run("errors", "replay", "--listener", "shipping", "--app", at.module)
        assert replayed == "2 events replayed\n"
        at.wait_for_handled("shipping 1 ü", "shipping 2 ü")
        at.wait_for_list([("order-1", "billing"), ("order-2", "billing")])

        assert at.run("errors", "discard", "order-1", "--yes") == "1 event discarded\n"
        at.wait_for_list([("order-2", "billing")])
        at.run("errors", "discard", "order-1", "--yes", code=1)
        assert at.run("errors", "replay", "--all", "--app", at.module) == "1 event replayed\n"
        at.wait_for_handled("billing 2 ü")
        at.wait_for_list([])
        assert at.run("errors", "list") == "0 events in the error queue\n"
        listening.wait_for("billing 1 handled")
        assert listening.stop(stop) == 0, "".join(listening.lines)
    finally:
        listening.close()
    output = "".join(listening.lines)
    assert f"Ordered::{at.module}.billing" in output
    last = listening.lines[-1]
    assert "stopped: billing 1 handled, 2 attempts failed, 2 in the error queue; shipping 2 handled" in last, output
    assert "billing 1 " not in (at.folder / "handled").read_text()
    assert at.secret not in output + "".join(at.seen)
