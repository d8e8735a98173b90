"""The commands of docs/django.rst, as a reader types them."""

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
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("django")

from tests.brokers.host import free_ports
from tests.docs.pages import DOCS, EXAMPLES, ROOT, shell_blocks
from tests.integrations.django.project import Program, wait_until

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FIRST = EXAMPLES / "django" / "first"
MAKE, LOCAL, ARTEMIS, TEST, _DEMO = shell_blocks(DOCS / "django.rst")


class Reader:
    """Types the commands of a block; what runs on is a process of its own, ``curl`` is asked by ourselves."""

    def __init__(self, folder: Path, changes: dict[str, str]) -> None:
        self._folder = folder
        self._changes = changes
        (self._port,) = free_ports(1)
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ASPYX_", "DJANGO_"))}
        self._environment = {**own, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "error"}
        self.programs: list[Program] = []
        self.answers: list[str] = []

    def type(self, block: str) -> None:
        """All lines, in their order."""
        for line in block.strip().splitlines():
            words = shlex.split(line, comments=True)
            if words[0] in ("python3", "pip"):
                continue  # the environment of the tests has it all
            if words[0] == "export":
                self._environment.update(self._exported(word) for word in words[1:])
            elif words[0] == "curl":
                assert words[1:3] == ["-X", "POST"]
                self.answers.append(self._post(words[3].replace("localhost:8000", "")))
            elif words[1:] == ["manage.py", "runserver"]:
                self._start([sys.executable, *words[1:], str(self._port)], "Quit the server")
            elif words[1:] == ["manage.py", "events", "listen"]:
                self._start([sys.executable, *words[1:]], "listening; Ctrl-C ends it")
            else:
                self.run(words)

    def write(self) -> None:
        """Put the page's code where its first line says."""
        with open(self._folder / "shop" / "settings.py", "a") as settings:
            settings.write((FIRST / "shop" / "settings_end.py").read_text())
        for file in (*FIRST.glob("orders/*.py"), FIRST / "shop" / "urls.py", FIRST / "test_orders.py"):
            name = file.read_text().splitlines()[0][len("# ") :]
            assert name == str(file.relative_to(FIRST))
            shutil.copy(file, self._folder / name)

    def run(self, words: list[str]) -> str:
        """A command to its end; what it printed."""
        command = [sys.executable, *words[1:]] if words[0] == "python" else [sys.executable, "-m", "django", *words[1:]]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False, timeout=100
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def close(self) -> None:
        """End what still runs."""
        for program in self.programs:
            program.close()

    def _exported(self, word: str) -> tuple[str, str]:
        name, _, value = word.partition("=")
        return name, self._changes.get(value, value)

    def _start(self, command: list[str], ready: str) -> None:
        self.programs.append(Program(command, cwd=self._folder, environment=self._environment))
        self.programs[-1].wait_for(ready)

    def _post(self, path: str) -> str:
        answers: list[str] = []

        def asked() -> bool:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            with contextlib.closing(connection), contextlib.suppress(ConnectionRefusedError):
                connection.request("POST", path)
                answers.append(connection.getresponse().read().decode())
            return bool(answers)

        wait_until("the server", asked)
        return answers[0]


@pytest.fixture
def reader(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Reader]:
    """A reader with the project that the page makes."""
    changes: dict[str, str] = {}
    if getattr(request, "param", "") == "artemis":
        pytest.importorskip("proton")
        broker: ArtemisBroker = request.getfixturevalue("artemis").start()
        changes = {
            "amqp://localhost:61616/": f"amqp://127.0.0.1:{broker.amqp_port}/?prefix=django-page",
            "me": broker.user,
            "secret": broker.password,
        }
    made = Reader(tmp_path, changes)
    made.type(MAKE)
    made.write()
    yield made
    made.close()


def test_the_first_event_without_a_broker(reader: Reader) -> None:
    """The page's project handles its event in the web process."""
    reader.type(LOCAL)
    assert reader.answers == ["Thank you, Ada.\n"]
    reader.programs[0].wait_for("Ada owes 9.50 euros")


@pytest.mark.artemis
@pytest.mark.parametrize("reader", ["artemis"], indirect=True)
def test_the_first_event_on_artemis(reader: Reader) -> None:
    """With the three variables of the page the listening process handles it, and ends well with Ctrl-C."""
    reader.type(ARTEMIS)
    listener, server = reader.programs
    listener.wait_for("Ada owes 9.50 euros")
    assert reader.answers == ["Thank you, Ada.\n"]
    assert "owes" not in server.output
    assert listener.end(signal.SIGINT) == 0, listener.output
    assert "stopped: Billing 1 handled" in listener.output


def test_the_tests_of_the_page(reader: Reader) -> None:
    """The page's tests pass with its command."""
    pytest.importorskip("pytest_django")
    assert "2 passed" in reader.run(shlex.split(TEST.strip().splitlines()[1]))
