"""One program on every pair of protocol and broker: a thousand events, two competing processes, an exact account."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("proton")
pytest.importorskip("stomp")

from tests.docs.pages import EXAMPLES
from tests.integrations.depths import depths

if TYPE_CHECKING:
    from tests.brokers import Broker

PROGRAM = EXAMPLES / "8_one_program_every_broker.py"
COUNT = 1_000
FAIL_FOR_EVER = set(range(0, COUNT, 100))
FAIL_ONCE = set(range(1, COUNT, 20))
PATIENCE = 60.0

PAIRS = [
    pytest.param(f"{protocol}/{broker}", marks=getattr(pytest.mark, broker))
    for protocol, brokers in (("amqp", ("artemis", "rabbitmq")), ("stomp", ("artemis", "rabbitmq", "activemq")))
    for broker in brokers
]

_BOOKED = re.compile(r"payment (\d+) booked at attempt (\d+)")


class Program:
    """The program as a process; keeps what it books."""

    def __init__(self, url: str, command: str) -> None:
        self.booked: list[tuple[int, int]] = []
        self.log: list[str] = []
        self.printed: queue.Queue[str] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", str(PROGRAM), command],
            env={**os.environ, "ASPYX_EVENT_URL": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read_log, self._read_output)]
        for reader in self._readers:
            reader.start()

    def wait_until_listening(self) -> None:
        """Wait for the line that says so; fails with the log."""
        try:
            line = self.printed.get(timeout=PATIENCE)
        except queue.Empty:
            line = f"(nothing; exit code {self._process.poll()})"
        assert line == "listening", "".join(self.log[-60:])

    def wait(self, timeout: float = PATIENCE) -> list[str]:
        """What it printed, once it has ended well."""
        code = self._process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        assert code == 0, "".join(self.log[-40:])
        return [self.printed.get_nowait() for _ in range(self.printed.qsize())]

    def stop(self) -> list[str]:
        """SIGTERM, then `wait`."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def close(self) -> None:
        """End it, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        with self._process:
            for reader in self._readers:
                reader.join(5)

    def _read_log(self) -> None:
        for line in self._process.stderr or ():
            self.log.append(line)
            booked = _BOOKED.match(line)
            if booked:
                self.booked.append((int(booked[1]), int(booked[2])))

    def _read_output(self) -> None:
        for line in self._process.stdout or ():
            self.printed.put(line.rstrip("\n"))


class Application:
    """Starts the program on one pair, under a prefix of its own."""

    def __init__(self, protocol: str, broker: Any) -> None:
        self.broker: Broker = broker
        self.prefix = f"pay{uuid.uuid4().hex[:8]}"
        port = broker.amqp_port if protocol == "amqp" else broker.stomp_port
        self.url = f"{protocol}://{broker.user}:{broker.password}@{broker.host}:{port}/?prefix={self.prefix}"
        self.programs: list[Program] = []

    def start(self, command: str) -> Program:
        program = Program(self.url, command)
        self.programs.append(program)
        return program

    def run(self, command: str) -> list[str]:
        return self.start(command).wait()

    def depths(self) -> dict[str, int]:
        return depths(self.broker, "PaymentMade", "Booking", self.prefix)


@pytest.fixture
def application(request: pytest.FixtureRequest) -> Iterator[Application]:
    protocol, _, broker = request.param.partition("/")
    made = Application(protocol, request.getfixturevalue(broker).start())
    yield made
    for program in made.programs:
        program.close()


def wait_until_booked(listeners: list[Program], count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while len({number for listener in listeners for number, _ in list(listener.booked)}) < count:
        assert time.monotonic() < deadline, [listener.log[-5:] for listener in listeners]
        pause.wait(0.05)


def wait_for_errors(application: Application, count: int) -> list[str]:
    """The list of the error queue, once it is as long as that."""
    deadline = time.monotonic() + PATIENCE
    while True:
        lines = application.run("errors")
        if len(set(lines)) > count or time.monotonic() > deadline:
            return lines


@pytest.mark.slow
@pytest.mark.parametrize("application", PAIRS, indirect=True)
def test_every_event_is_accounted_for(application: Application) -> None:
    """Each of a thousand events is booked, at the attempt it should be, or in the error queue with its reason; once."""
    listeners = [application.start("listen"), application.start("listen")]
    for listener in listeners:
        listener.wait_until_listening()
    assert application.run("send") == [f"{COUNT} payments sent"]

    wait_until_booked(listeners, COUNT - len(FAIL_FOR_EVER))
    errors = wait_for_errors(application, len(FAIL_FOR_EVER))
    summaries = [listener.stop()[-1] for listener in listeners]

    attempts = {number: 2 if number in FAIL_ONCE else 1 for number in set(range(COUNT)) - FAIL_FOR_EVER}
    booked = [pair for listener in listeners for pair in listener.booked]
    if application.broker.name == "rabbitmq":  # it passes on what waited for a retry at least once
        assert set(booked) == set(attempts.items())
        assert Counter(pair for pair in booked if pair[1] == 1) == Counter(p for p in attempts.items() if p[1] == 1)
    else:
        assert Counter(booked) == Counter(attempts.items())
    assert all(listener.booked for listener in listeners), "both processes got work"

    expected = [f"payment {number}: exception, builtins.ValueError, 2 attempts" for number in sorted(FAIL_FOR_EVER)]
    dead = len(errors) - 1
    assert errors[-1] == f"{dead} payments in the error queue"
    if application.broker.name == "rabbitmq":  # what comes twice fails twice
        assert list(dict.fromkeys(errors[:-1])) == expected
    else:
        assert errors[:-1] == expected
    counts = [re.fullmatch(r"(\d+) booked, (\d+) in the error queue", summary) for summary in summaries]
    assert sum(int(found[1]) for found in counts if found) == len(booked), summaries
    assert sum(int(found[2]) for found in counts if found) == dead, summaries

    assert application.depths() == {f"{application.prefix}.error": dead}
    application.run("send")
    assert sorted(application.depths().values()) == [dead, COUNT], "what nobody takes waits in the queue"
