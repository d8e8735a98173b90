"""Web processes that send and processes that listen, on a real Artemis: gunicorn, the reloader, signals."""

from __future__ import annotations

import http.client
import os
import signal
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("proton")
pytest.importorskip("gunicorn")

from aspyx_event import EventManager, event
from tests.brokers.host import free_ports
from tests.faults.signals.processes import Program
from tests.faults.waiting import wait_until

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker
    from tests.brokers.management import ArtemisManagement

pytestmark = [pytest.mark.artemis, pytest.mark.timeout(240)]

SERVICE = "tests.integrations.flask.service"
COUNT = 30


class Parcels:
    """An event, a queue and a ledger of its own for each test, and the programs of the service."""

    def __init__(self, broker: ArtemisBroker, folder: Path) -> None:
        self.name = f"Parcel{uuid.uuid4().hex[:8]}"
        self.queue = f"{self.name}.post-{self.name}"
        self.folder = folder
        self.ledger = folder / "ledger.txt"
        self.ledger.touch()
        [self.port] = free_ports(1)
        self.environment = {
            "ASPYX_EVENT_URL": f"amqp://127.0.0.1:{broker.amqp_port}/?prefix={self.name}",
            "ASPYX_EVENT_USER": broker.user,
            "ASPYX_EVENT_PASSWORD": broker.password,
            "FLASK_TEST_EVENT": self.name,
            "FLASK_TEST_LEDGER": str(self.ledger),
            "PYTHONWARNINGS": "error",
        }
        self._broker = broker

    def program(self, log: str, *command: str, **environment: str) -> Program:
        return Program(self.folder / log, *command, environment={**self.environment, **environment})

    def gunicorn(self, *arguments: str, **environment: str) -> Program:
        options = ["-w", "2", "-b", f"127.0.0.1:{self.port}", *arguments]
        return self.program("gunicorn.log", "gunicorn", *options, f"{SERVICE}:create_app()", **environment)

    def listener(self) -> Program:
        return self.program("listen.log", "flask", "--app", SERVICE, "events", "listen")

    def post(self, id: int) -> str:
        """Send one by a request; the answer is the worker's process id."""
        status, text = self.request("POST", f"/parcels/{id}")
        assert status == 200, text
        return text

    def request(self, method: str, path: str) -> tuple[int, str]:
        """Status and text of an answer; 0 where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def send_slow(self, count: int, seconds: float) -> None:
        """Send without a web process."""

        @event(self.name, durable=True)
        @dataclass
        class Slow:
            id: int
            seconds: float

        broker = self._broker
        url = f"amqp://{broker.user}:{broker.password}@127.0.0.1:{broker.amqp_port}/?prefix={self.name}"
        with EventManager(url) as manager:
            manager.send_events(Slow(id, seconds) for id in range(count))

    def serves(self) -> bool:
        return self.request("GET", "/health/live")[0] == 200

    def lines(self, word: str) -> list[str]:
        return [line for line in self.ledger.read_text().splitlines() if line.startswith(word)]

    def handled(self) -> Counter[int]:
        return Counter(int(line.split()[1]) for line in self.lines("ended"))

    def assert_discreet(self) -> None:
        for log in self.folder.glob("*.log"):
            assert self._broker.password not in log.read_text()


@pytest.fixture
def parcels(artemis: ArtemisBroker, tmp_path: Path) -> Iterator[Parcels]:
    made = Parcels(artemis.start(), tmp_path)
    yield made
    made.assert_discreet()


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        ([], {}),
        (["--preload"], {"FLASK_TEST_SEND_AT_ONCE": "1"}),
        (["-k", "gthread", "--threads", "4"], {}),
    ],
    ids=["prefork", "preload", "threads"],
)
def test_gunicorn_sends_and_another_process_listens(
    parcels: Parcels, artemis_management: ArtemisManagement, arguments: list[str], environment: dict[str, str]
) -> None:
    """What forked workers send is handled once by ``flask events listen``, also if the master had sent before."""
    sent = 20
    with parcels.gunicorn(*arguments, **environment) as web, parcels.listener() as listener:
        wait_until(parcels.serves, lambda: web.text)
        workers: Counter[str] = Counter()
        for id in range(1, sent + 1):
            workers[parcels.post(id)] += 1
        assert str(web.pid) not in workers
        assert parcels.request("GET", "/health/ready")[0] == 200
        expected = Counter(range(0 if environment else 1, sent + 1))
        wait_until(lambda: set(parcels.handled()) == set(expected), lambda: f"{parcels.handled()} {listener.text}")
        listener.signal(signal.SIGTERM)
        assert listener.ended(60) == 0
        web.signal(signal.SIGTERM)
        assert web.ended(60) == 0
        wait_until(web.group_is_gone, "the end of all workers")
    assert web.text.count("stopped: 0 finished") >= len(workers), "the end of a worker stops its manager"
    assert parcels.handled() == expected
    pids = {line.split()[2] for line in parcels.lines("begun")}
    assert pids == {str(listener.pid)}, "web processes do not listen"
    assert all(line.endswith("in parcels") for line in parcels.lines("ended"))
    assert f"{len(expected)} handled" in listener.text.splitlines()[-1]
    state = artemis_management.queue(parcels.queue)
    assert state is not None
    assert (state.message_count, state.consumer_count) == (0, 0)


def test_a_listener_drains_on_sigterm(parcels: Parcels, artemis_management: ArtemisManagement) -> None:
    """SIGTERM lets running events finish, gives back what waits, and ends with 0; the next listener goes on."""
    with parcels.listener() as listener:
        artemis_management.wait_for(
            parcels.queue, lambda queue: queue is not None and queue.consumer_count == 1, timeout=60
        )
        parcels.send_slow(COUNT, 1.0)
        wait_until(lambda: parcels.lines("begun"), lambda: listener.text)
        listener.signal(signal.SIGTERM)
        assert listener.ended(60) == 0, listener.text
    assert len(parcels.lines("begun")) == len(parcels.lines("ended"))
    with parcels.listener() as heir:
        wait_until(lambda: len(parcels.handled()) == COUNT, lambda: heir.text)
        heir.signal(signal.SIGINT)
        assert heir.ended(60) == 0, heir.text
    assert parcels.handled() == Counter(range(COUNT))


def test_the_reloader_connects_in_one_process(parcels: Parcels, artemis_management: ArtemisManagement) -> None:
    """Under ``flask run --debug`` the serving process alone connects, and so does the next one after a change."""
    app = parcels.folder / "reloaded.py"
    app.write_text(f"from {SERVICE} import create_app\n")
    arguments = ["--app", str(app), "run", "--debug", "--port", str(parcels.port)]
    with parcels.program("flask.log", "flask", *arguments, FLASK_TEST_LISTEN="1") as web:
        wait_until(parcels.serves, lambda: web.text)
        first = parcels.post(1)
        assert first != str(web.pid)
        wait_until(lambda: parcels.handled()[1], lambda: web.text)
        state = artemis_management.queue(parcels.queue)
        assert state is not None
        assert state.consumer_count == 1
        app.write_text(f"from {SERVICE} import create_app  # changed\n")
        web.wait_for("Detected change")
        wait_until(lambda: parcels.serves() and parcels.post(2) != first, lambda: web.text)
        wait_until(lambda: parcels.handled()[2], lambda: web.text)
        artemis_management.wait_for(
            parcels.queue, lambda queue: queue is not None and queue.consumer_count == 1, timeout=60
        )
        os.killpg(web.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
        web.ended(60)
        wait_until(web.group_is_gone, "the end of both processes")
