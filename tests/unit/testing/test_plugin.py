"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

SUITE = """
import socket
from dataclasses import dataclass

from aspyx_event import event, event_listener


@event()
@dataclass
class Placed:
    id: int


@event_listener(Placed)
def billing(event):
    if event.id < 0:
        raise ValueError("no such order")


def test_handled(event_harness):
    harness = event_harness(billing)
    harness.send(Placed(1))
    harness.wait_idle(15)
    assert harness.handled(billing) == [Placed(1)]


def test_unseen(event_harness):
    harness = event_harness(billing)
    harness.send(Placed(-1))
    harness.wait_idle(15)


def test_proxy(tcp_proxy):
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = tcp_proxy("127.0.0.1", server.getsockname()[1])
        with socket.create_connection(("127.0.0.1", proxy.port), 15) as client:
            there, _ = server.accept()
            with there:
                client.sendall(b"x")
                assert there.recv(1) == b"x"
"""


def plugin_option() -> list[str]:
    """For pytest's command line: nothing where the distribution is installed, and pytest finds the plugin by itself."""
    points = importlib.metadata.entry_points()
    found = points.select(group="pytest11") if hasattr(points, "select") else points.get("pytest11", ())
    installed = any(point.value == "aspyx_event.testing.plugin" for point in found)
    return [] if installed else ["-p", "aspyx_event.testing.plugin"]


def test_the_fixtures(tmp_path: Path) -> None:
    """event_harness makes harnesses that end with their test, failures included; tcp_proxy makes proxies."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin_option(), "."],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "3 passed, 1 error" in result.stdout, result.stdout + result.stderr
    assert "ERROR at teardown of test_unseen" in result.stdout
    assert "HarnessFailure: an event failed" in result.stdout
    assert "ValueError: no such order" in result.stdout


def test_it_costs_nothing_that_is_not_used() -> None:
    """The plugin itself imports pytest, and neither harness nor proxy: it is loaded in every project."""
    code = "import sys, aspyx_event.testing.plugin; print(sorted(n for n in sys.modules if 'event.testing' in n))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "['aspyx_event.testing', 'aspyx_event.testing.plugin']"
