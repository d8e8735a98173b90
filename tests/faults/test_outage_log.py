"""What an outage writes into the log: every change has one line, and a minute without a broker is no flood."""

from __future__ import annotations

import contextlib
import functools
import re
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.brokers import Broker
from tests.faults.pairs import NAMES, Pair
from tests.faults.signals.processes import Program
from tests.faults.waiting import wait_until

SECONDS = 60.0
LISTENERS = 5
LINES = 30
"""Fewer than these at INFO and above."""


class Log:
    """The lines of one program, from one moment on."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._start = len(program.text)

    @property
    def lines(self) -> list[str]:
        """Level, logger and message of each."""
        found = (line.split("|", 3) for line in self._program.text[self._start :].splitlines())
        return [f"{parts[1]} {parts[2]} {parts[3]}" for parts in found if len(parts) == 4]

    def counted(self) -> str:
        """How many lines each logger wrote at each level."""
        counts = Counter(" ".join(line.split(" ", 2)[:2]) for line in self.lines)
        return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))

    def containing(self, text: str) -> list[str]:
        """Those lines."""
        return [line for line in self.lines if text in line]


@pytest.mark.artemis
@pytest.mark.rabbitmq
@pytest.mark.timeout(400)
def test_an_outage_of_a_minute(artemis: Broker, rabbitmq: Broker, tmp_path: Path) -> None:
    """Five listeners, five kinds of events, sends and retries under way: a minute without a broker has few lines."""
    brokers = {"artemis": artemis, "rabbitmq": rabbitmq}
    pairs = [Pair.on(name, brokers[name.partition("/")[2]]) for name in NAMES]
    with contextlib.ExitStack() as stack:
        programs = {
            pair.name: stack.enter_context(
                Program(
                    tmp_path / f"{pair.prefix}.log",
                    "tests.faults.outage.shop",
                    pair.url(),
                    pair.prefix,
                    str(LISTENERS),
                )
            )
            for pair in pairs
        }
        for program in programs.values():
            program.wait_for("is connected")
            program.wait_for("attempt 1 for event", LISTENERS)  # their second one is due during the outage
        logs = {name: Log(program) for name, program in programs.items()}
        for broker in brokers.values():
            broker.stop()
        threading.Event().wait(SECONDS)
        for broker in brokers.values():
            broker.start()
        for name, log in logs.items():
            wait_until(functools.partial(log.containing, "is connected again"), f"{name} connected", timeout=90)
        for program in programs.values():
            program.signal(signal.SIGTERM)
        for name, program in programs.items():
            assert program.ended(40) == 0, f"{name}: {program.text}"
    for name, log in logs.items():
        report = "\n".join([f"{name}: {len(log.lines)} lines; {log.counted()}", *log.lines])
        print(report)  # noqa: T201 - shown with a failure, or with -s
        assert len(log.lines) < LINES, report
        assert len(log.containing("lost its connection")) == 1, report
        assert len(log.containing("is connected again")) == 1, report
        reminders = log.containing("has no connection for")
        assert len(reminders) <= 2 + (SECONDS + 40) // 60, f"two kinds of failure, and one a minute\n{report}"
        assert not re.search("Traceback|admin-s3cret", programs[name].text)
