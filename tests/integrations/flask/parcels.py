"""The programs of the service, for tests with processes."""

from __future__ import annotations

import http.client
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from aspyx_event import EventManager, event
from aspyx_event.integrations.settings import Settings
from tests.brokers.host import free_ports
from tests.faults.signals.processes import Program

SERVICE = "tests.integrations.flask.service"


class Parcels:
    """An event, a queue and a ledger of its own for each test, and the programs of the service."""

    def __init__(self, url: str, folder: Path, *, user: str = "", password: str = "") -> None:
        self.name = f"Parcel{uuid.uuid4().hex[:8]}"
        self._url = f"{url}?prefix={self.name}"
        self.queue = f"{self.name}.post-{self.name}"
        self.folder = folder
        self.ledger = folder / "ledger.txt"
        self.ledger.touch()
        [self.port] = free_ports(1)
        self.environment = {
            "ASPYX_EVENT_URL": self._url,
            "ASPYX_EVENT_USER": user,
            "ASPYX_EVENT_PASSWORD": password,
            "FLASK_TEST_EVENT": self.name,
            "FLASK_TEST_LEDGER": str(self.ledger),
            "PYTHONWARNINGS": "error",
        }
        self._settings = Settings(self._url, user=user, password=password)

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

        with EventManager(self._settings.full_url) as manager:
            manager.send_events(Slow(id, seconds) for id in range(count))

    def web(self, **environment: str) -> Program:
        """Flask's own server."""
        port = str(self.port)
        return self.program("flask.log", "flask", "--app", SERVICE, "run", "--port", port, **environment)

    def serves(self) -> bool:
        return self.request("GET", "/health/live")[0] == 200

    def lines(self, word: str) -> list[str]:
        return [line for line in self.ledger.read_text().splitlines() if line.startswith(word)]

    def handled(self) -> Counter[int]:
        return Counter(int(line.split()[1]) for line in self.lines("ended"))

    def assert_discreet(self) -> None:
        for log in self.folder.glob("*.log"):
            assert not self._settings.password or self._settings.password not in log.read_text()
