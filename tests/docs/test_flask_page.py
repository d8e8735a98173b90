"""The commands of docs/flask.rst, as a reader types them."""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import pytest

pytest.importorskip("flask")

from tests.brokers.host import free_ports
from tests.docs.pages import DOCS, EXAMPLES, shell_blocks
from tests.faults.signals.processes import Program
from tests.faults.waiting import wait_until

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker

PAGE = DOCS / "flask.rst"
FIRST = EXAMPLES / "flask" / "first"
BLOCKS = [block for block in shell_blocks(PAGE) if "export ASPYX_EVENT_URL" in block]


class Typist:
    """Types the commands of a block: ``export`` sets, ``flask`` runs on as a process of its own, ``curl`` asks."""

    def __init__(self, folder: Path, changes: dict[str, str]) -> None:
        shutil.copy(FIRST / "app.py", folder)
        self._folder = folder
        self._changes = changes
        [self._port] = free_ports(1)
        self._environment = {"FLASK_RUN_PORT": str(self._port), "PYTHONWARNINGS": "error"}
        self.programs: list[Program] = []
        self.answers: list[str] = []

    def type(self, block: str) -> None:
        for line in block.strip().splitlines():
            words = shlex.split(line, comments=True)
            if words[0] == "export":
                self._environment.update(self._exported(word) for word in words[1:])
            elif words[0] == "flask":
                self._run(words)
            elif words[:3] == ["curl", "-X", "POST"]:
                self.answers.append(self._post("/" + words[3].partition("/")[2]))
            else:
                raise AssertionError(f"what is {line!r}?")

    def _exported(self, word: str) -> tuple[str, str]:
        name, _, value = word.partition("=")
        for old, new in self._changes.items():
            assert old
            value = new if value == old else value
        return name, value

    def _run(self, words: list[str]) -> None:
        log = self._folder / f"{len(self.programs)}.log"
        program = Program(log, *words, environment=self._environment, directory=self._folder)
        self.programs.append(program)
        program.wait_for("Running on" if words[-1] == "run" else "listening; Ctrl-C ends it")

    def _post(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", path)
            return connection.getresponse().read().decode()

    def end(self) -> None:
        for program in self.programs:
            with program:
                program.signal(signal.SIGINT)
                program.ended(60)


@pytest.fixture
def typist(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Typist]:
    changes: Optional[dict[str, str]] = None
    if request.param == "artemis":
        broker: ArtemisBroker = request.getfixturevalue("artemis").start()
        changes = {
            "amqp://localhost:61616/": f"amqp://127.0.0.1:{broker.amqp_port}/?prefix=flask-page",
            "me": broker.user,
            "secret": broker.password,
        }
    made = Typist(tmp_path, changes or {})
    yield made
    made.end()


@pytest.mark.parametrize(
    ("typist", "block"),
    [("local", 0), pytest.param("artemis", 1, marks=pytest.mark.artemis)],
    indirect=["typist"],
    ids=["local", "artemis"],
)
def test_the_first_event(typist: Typist, block: int) -> None:
    """The page's first application handles its event: in the web process on local://, in another one on Artemis."""
    typist.type(BLOCKS[block])
    assert typist.answers == ["Thank you, Ada.\n"]
    first = typist.programs[0]
    wait_until(lambda: "Ada owes 9.50 euros" in first.text, lambda: first.text)
    assert len(typist.programs) == block + 1
    assert all("Ada owes" not in other.text for other in typist.programs[1:])


def test_the_test_of_the_page(tmp_path: Path) -> None:
    """The test that the page shows passes, and fails when the application no longer sends."""
    for name in ("app.py", "test_app.py"):
        shutil.copy(FIRST / name, tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "test_app.py"]
    environment = {**os.environ, "ASPYX_EVENT_URL": "local://"}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=100
        )

    good = run()
    assert good.returncode == 0, good.stdout
    app = tmp_path / "app.py"
    app.write_text(app.read_text().replace("events.send_event(", "str("))
    assert run().returncode == 1
