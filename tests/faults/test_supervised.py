"""Under gunicorn and under a supervisor, as the guide on deployment shows it: restarted, killed, stopped; no loss."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers.host import free_ports
from tests.faults.ledger import CONFIRMED, HANDLED, Account
from tests.faults.pairs import PAIRS, Pair
from tests.faults.signals.processes import ROOT, Program
from tests.faults.signals.traffic import Traffic
from tests.faults.waiting import wait_until

pytest.importorskip("gunicorn")
pytest.importorskip("supervisor")

CONFIGURATIONS = Path(__file__).with_name("signals")
AMQP_ARTEMIS, _, AMQP_RABBITMQ, STOMP_RABBITMQ = PAIRS
WORKERS = {"amqp": "sync", "stomp": "gthread"}
GRACEFUL = 20
"""graceful_timeout of the configuration, in seconds."""


class Clients:
    """Threads that POST to a web server again and again, whatever happens to it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._post_on, name=f"client-{number}") for number in range(3)]

    def request(self, method: str, path: str) -> int:
        """The status of the answer; 0 for none."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def _post_on(self) -> None:
        while not self._over.is_set():
            if self.request("POST", f"/{uuid.uuid4().hex}") == 0:
                self._over.wait(0.05)

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(40)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("pair", [AMQP_ARTEMIS, STOMP_RABBITMQ], indirect=True)
def test_gunicorn(pair: Pair, tmp_path: Path) -> None:
    """Under gunicorn, with workers that send and listen: HUP, the kill of a hanging worker, and TERM lose nothing."""
    worker = WORKERS[pair.protocol]
    [port] = free_ports(1)
    arguments = ["-c", str(CONFIGURATIONS / "gunicorn_conf.py"), "-b", f"127.0.0.1:{port}", "-k", worker]
    threads = ["--threads", "3"] if worker == "gthread" else []
    environment = {"PING_URL": pair.url(), "PING_PREFIX": pair.prefix, "PING_LEDGER": str(tmp_path / "ledger")}
    gunicorn = Program(
        tmp_path / "gunicorn.log", "gunicorn", *arguments, *threads, "tests.faults.signals.web:app",
        environment=environment,
    )  # fmt: skip
    with gunicorn, Traffic(pair, tmp_path / "ledger") as traffic:
        gunicorn.wait_for("is connected", 2)
        with Clients(port) as clients:
            _more(traffic, gunicorn)
            gunicorn.signal(signal.SIGHUP)
            gunicorn.wait_for("is connected", 4)
            gunicorn.wait_for("stopped: ", 2)
            _more(traffic, gunicorn)
            if worker == "sync":  # a thread that hangs does not keep a worker of gthread from saying that it lives
                assert clients.request("GET", "/hang") in (0, 500)
                gunicorn.wait_for("WORKER TIMEOUT")
            else:
                os.kill(_worker(gunicorn), signal.SIGKILL)
            gunicorn.wait_for("is connected", 5)
            _more(traffic, gunicorn)
            gunicorn.signal(signal.SIGTERM)
            assert gunicorn.ended(GRACEFUL + 10) == 0, gunicorn.text
        wait_until(gunicorn.group_is_gone, "the end of all workers", timeout=10)
        account = traffic.account()
    _assert_kept(account, gunicorn.text)
    assert "0 abandoned" in gunicorn.text


def _more(traffic: Traffic, program: Program) -> None:
    confirmed, handled = traffic.count(CONFIRMED), traffic.count(HANDLED)
    wait_until(
        lambda: traffic.count(CONFIRMED) >= confirmed + 20 and traffic.count(HANDLED) >= handled + 20,
        f"20 more events sent and handled; {program.output}",
    )


def _worker(gunicorn: Program) -> int:
    """The process id of the newest worker."""
    found = re.findall(r"Booting worker with pid: (\d+)", gunicorn.text)
    return int(found[-1])


def _assert_kept(account: Account, text: str) -> None:
    assert not account.lost, f"{account}\n{text}"
    assert account.duplicates <= 64, f"{account}: more than what one killed process can hold"
    assert text.count("Traceback") == text.count("GET /hang"), f"only gunicorn's, of the request it ended\n{text}"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: that of a unix socket may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ping-", dir="/tmp") as name:
        yield Path(name)


# Not STOMP on Artemis: a reset connection, as SIGKILL makes it, may leave a message "delivering" there until the broker
# is restarted (docs/decisions/10); what a kill does on every pair is the crash table's to prove.
@pytest.mark.parametrize("pair", [AMQP_RABBITMQ, STOMP_RABBITMQ], indirect=True)
def test_a_supervisor(pair: Pair, folder: Path) -> None:
    """Under supervisord: restarts are drained with exit code 0, a killed process is started again; nothing is lost."""
    arguments = f"{pair.url()} {pair.prefix} {folder}/ledger '{{\"seconds\": 0.02}}'"
    command = f"{sys.executable} -m tests.faults.signals.service {arguments}".replace("%", "%%")
    environment = {"PING_FOLDER": str(folder), "PING_COMMAND": command}
    configuration = ["-c", str(CONFIGURATIONS / "supervisord.conf")]
    supervisor = Program(folder / "supervisord.log", "supervisor.supervisord", *configuration, environment=environment)

    def control(*command: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisorctl", *configuration, *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=ROOT,
            env={**os.environ, **environment},
        )
        return ran.stdout + ran.stderr

    with supervisor, Traffic(pair, folder / "ledger") as traffic:
        supervisor.wait_for("success: service entered RUNNING state")  # which is not yet: its queue is there
        wait_until(lambda: "ready" in (folder / "service.log").read_text(), "the service listens")
        traffic.start()
        traffic.wait_for_handled(20)
        assert "service: started" in control("restart", "service")
        supervisor.wait_for("stopped: service (exit status 0)")
        traffic.wait_for_handled(20)
        os.kill(int(control("pid", "service")), signal.SIGKILL)
        supervisor.wait_for("exited: service (terminated by SIGKILL")
        traffic.wait_for_handled(20)
        traffic.stop()
        supervisor.signal(signal.SIGTERM)
        assert supervisor.ended(50) == 0, supervisor.text
        assert supervisor.text.count("stopped: service (exit status 0)") == 2, supervisor.text
        account = traffic.account()
        log = (folder / "service.log").read_text()
    _assert_kept(account, log)
    assert log.count("0 abandoned") == 2, "once at the restart, once at the end"
