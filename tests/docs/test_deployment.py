"""The files that docs/guide/deployment.rst shows, under what they are for: only paths, ports and users are replaced."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aspyx_event.timing import Deadline
from tests.brokers.host import free_ports
from tests.docs.pages import EXAMPLES, ROOT

SHOWN = EXAMPLES / "deployment"
LOCAL = "local://"
NOBODY = "amqp://me:secret@127.0.0.1:9/"
"""Nothing listens on this port."""


class Program:
    """A command that writes to a file, in a session of its own, none of which outlives the test."""

    def __init__(self, folder: Path, *command: str, log: str = "output", **environment: str) -> None:
        self.log = folder / log
        with open(self.log, "wb") as stream:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "ASPYX_EVENT_URL": LOCAL, **environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def text(self) -> str:
        """What it has written."""
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until it has written a text, so many times."""
        pause, deadline = threading.Event(), Deadline(60)
        while self.text.count(text) < count:
            assert self._process.poll() is None, f"ended with {self._process.returncode}:\n{self.text}"
            assert not deadline.passed, f"no {text!r} in:\n{self.text}"
            pause.wait(0.05)

    def ended(self) -> int:
        """The exit code."""
        return self._process.wait(60)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(30)


def _with_this_python(text: str) -> str:
    assert "/srv/shop/venv/bin/python" in text
    return text.replace("/srv/shop/venv/bin/python", sys.executable)


def _copy(folder: Path, *names: str) -> None:
    for name in names:
        shutil.copy(SHOWN / name, folder)


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A folder with the service in it."""
    _copy(tmp_path, "my_service.py")
    return tmp_path


def _status(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def _wait_until_ready(port: int) -> None:
    """Wait until the service listens for probes, and answers that it is ready."""
    pause, deadline, status = threading.Event(), Deadline(60), 0
    while status != 200:
        assert not deadline.passed, "the service does not become ready"
        pause.wait(0.05)
        with contextlib.suppress(ConnectionError):  # not there yet
            status = _status(port)


def test_the_systemd_unit_is_one(tmp_path: Path) -> None:
    """systemd finds nothing wrong with the unit, and gives it more time to stop than run() takes."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    unit = _with_this_python((SHOWN / "my_service.service").read_text())
    (tmp_path / "my_service.service").write_text(unit)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "./my_service.service"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (checked.returncode, "my_service" in checked.stderr) == (0, False), checked.stderr
    [stop] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(stop) > 31


def test_supervisor_runs_and_stops_the_service(service: Path) -> None:
    """Under supervisord with the program's section as it is shown, the service starts, and a TERM drains it: code 0."""
    pytest.importorskip("supervisor")
    [port] = free_ports(1)
    section = _with_this_python((SHOWN / "my_service.conf").read_text())
    section = section.replace("/srv/shop", str(service)).replace("/var/log/shop/my_service.log", f"{service}/log")
    section = section.replace("user = shop\n", "").replace("startsecs = 5", "startsecs = 1")
    section = re.sub(
        '^(environment) = .*"$', f'\\1 = ASPYX_EVENT_URL="{LOCAL}",HEALTH_PORT="{port}"', section, flags=re.M
    )
    assert f'HEALTH_PORT="{port}"' in section
    head = f"[supervisord]\nnodaemon = true\nlogfile = /dev/null\nlogfile_maxbytes = 0\npidfile = {service}/pid\n\n"
    (service / "supervisord.conf").write_text(head + section)
    with Program(service, sys.executable, "-m", "supervisor.supervisord", "-c", "supervisord.conf") as supervisor:
        supervisor.wait_for("success: my_service entered RUNNING state")
        _wait_until_ready(port)
        os.kill(supervisor.pid, signal.SIGTERM)
        assert supervisor.ended() == 0, supervisor.text
        assert "stopped: my_service (exit status 0)" in supervisor.text
    assert "stopped: 0 finished, 0 released, 0 abandoned" in (service / "log").read_text()


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A folder with the web application in it."""
    pytest.importorskip("gunicorn")
    _copy(tmp_path, "web.py", "gunicorn.conf.py")
    return tmp_path


@contextlib.contextmanager
def _gunicorn(folder: Path, port: int, url: str) -> Iterator[Program]:
    command = ("gunicorn", "-c", "gunicorn.conf.py", "-b", f"127.0.0.1:{port}", "web:app")
    with Program(folder, sys.executable, "-m", *command, ASPYX_EVENT_URL=url) as server:
        server.wait_for("Booting worker")
        yield server
        os.kill(server.pid, signal.SIGTERM)
        assert server.ended() == 0, server.text
    assert "Traceback" not in server.text, server.text


def test_gunicorn_sends_what_the_service_handles(web: Path, service: Path) -> None:
    """Under gunicorn each request sends an event over a connection of its worker, and the service handles it."""
    [web_port, port] = free_ports(2)
    url = f"sqlite:///{service}/events.db"
    command = (sys.executable, "-m", "my_service")
    with Program(service, *command, log="service", ASPYX_EVENT_URL=url, HEALTH_PORT=str(port)) as billing:
        billing.wait_for("is connected")
        _wait_until_ready(port)
        with _gunicorn(web, web_port, url):
            assert [_status(web_port) for _ in range(4)] == [202] * 4
        billing.wait_for("billing order 1", count=4)
        os.kill(billing.pid, signal.SIGTERM)
        assert billing.ended() == 0, billing.text


def test_gunicorn_without_a_broker(web: Path) -> None:
    """Where the broker cannot be reached, requests are answered with 503, and gunicorn and its workers stay."""
    pytest.importorskip("proton")
    [port] = free_ports(1)
    with _gunicorn(web, port, NOBODY) as server:
        assert _status(port) == 503
        assert "Worker failed to boot" not in server.text


def _command_of(instruction: str) -> list[str]:
    """The command of an instruction of the Dockerfile, which has to be in the exec form: JSON."""
    [found] = re.findall(rf"^{instruction} (\[.*\])$", (SHOWN / "Dockerfile").read_text(), re.MULTILINE)
    command: list[str] = json.loads(found)
    return [sys.executable if word == "/venv/bin/python" else word for word in command]


def test_the_container_s_command_as_process_1(service: Path) -> None:
    """The Dockerfile's command, as process 1 of a pid namespace, passes the health check; SIGTERM ends it with 0."""
    isolate = ["unshare", "--pid", "--fork", "--mount-proc"]
    if not shutil.which("unshare") or subprocess.run([*isolate, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespace can be made here")
    [port] = free_ports(1)
    check = [word.replace(":8080/", f":{port}/") for word in _command_of("HEALTHCHECK CMD")]
    with Program(service, *isolate, *_command_of("CMD"), HEALTH_PORT=str(port)) as container:
        container.wait_for("is connected")
        _wait_until_ready(port)
        checked = subprocess.run(check, capture_output=True, text=True, check=False, timeout=60)
        assert checked.returncode == 0, checked.stderr
        [child] = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
        assert re.search(r"^NSpid:\s+\d+\s+1$", Path(f"/proc/{child}/status").read_text(), re.MULTILINE)
        os.kill(int(child), signal.SIGTERM)
        assert container.ended() == 0, container.text
        assert "SIGTERM: stopping" in container.text
