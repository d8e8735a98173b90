"""Signals to real processes on real brokers: drained in time, the exit code told, nothing lost, nobody left behind."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.faults.ledger import CONFIRMED, HANDLED
from tests.faults.pairs import PAIRS, Pair
from tests.faults.signals.event import BEGUN
from tests.faults.signals.processes import Program
from tests.faults.signals.traffic import Traffic
from tests.faults.waiting import PATIENCE, wait_until

ONE_WAY = [PAIRS[0], PAIRS[3]]
OTHER_WAY = [PAIRS[1], PAIRS[2]]
"""Of AMQP and STOMP one each, on different brokers."""


def service(folder: Path, url: str, prefix: str, **options: object) -> Program:
    """A service that writes the ledger of the test."""
    arguments = (url, prefix, str(folder / "ledger"), json.dumps(options))
    return Program(folder / "service.log", "tests.faults.signals.service", *arguments)


def test_sigterm_under_traffic(pair: Pair, tmp_path: Path) -> None:
    """SIGTERM in run() under traffic: running listeners finish, waiting events are released, no loss, code 0."""
    with (
        service(tmp_path, pair.url(), pair.prefix, seconds=3.0) as program,
        Traffic(pair, tmp_path / "ledger") as traffic,
    ):
        program.wait_for("ready")
        traffic.start()
        wait_until(lambda: traffic.count(BEGUN) >= 4, "all four workers are at it")
        wait_until(lambda: traffic.count(CONFIRMED) >= traffic.count(BEGUN) + 20, "a backlog")
        program.signal(signal.SIGTERM)
        assert program.ended(35) == 0, program.text
        assert traffic.ledger.ids(BEGUN) == traffic.ledger.ids(HANDLED), "every listener that began has finished"
        account = traffic.account()
    assert not account.lost, account
    assert account.duplicates == 0, account
    found = re.search(r"stopped: (\d+) finished, (\d+) released, 0 abandoned", program.text)
    assert found is not None, program.text
    assert int(found[2]) > 0, found[0]


@pytest.mark.parametrize("pair", ONE_WAY, indirect=True)
def test_sigint(pair: Pair, tmp_path: Path) -> None:
    """SIGINT does the same as SIGTERM."""
    with (
        service(tmp_path, pair.url(), pair.prefix, seconds=1.0) as program,
        Traffic(pair, tmp_path / "ledger") as traffic,
    ):
        program.wait_for("ready")
        traffic.send()
        program.wait_for("is connected")
        _wait_for_begun(traffic)
        program.signal(signal.SIGINT)
        assert program.ended(35) == 0, program.text
        assert traffic.count(HANDLED) == 1
        account = traffic.account()
    assert (account.handled, account.duplicates) == (1, 0), account


@pytest.mark.parametrize("pair", OTHER_WAY, indirect=True)
def test_a_second_signal(pair: Pair, tmp_path: Path) -> None:
    """A second signal ends the process at once with 128 + its number; the event that ran is delivered again."""
    with (
        service(tmp_path, pair.url(), pair.prefix, block=7) as program,
        Traffic(pair, tmp_path / "ledger") as traffic,
    ):
        program.wait_for("ready")
        traffic.send(7)
        _wait_for_begun(traffic)
        program.signal(signal.SIGTERM)
        program.wait_for("SIGTERM: stopping")
        program.signal(signal.SIGINT)
        assert program.ended(10) == 128 + signal.SIGINT, program.text
        account = traffic.account()
    assert (account.handled, len(account.lost)) == (1, 0), account


def test_a_listener_that_never_returns(pair: Pair, tmp_path: Path) -> None:
    """With a listener that never returns the process leaves within the deadline with 70; its event comes again."""
    with (
        service(tmp_path, pair.url(), pair.prefix, block=7, timeout=2.0) as program,
        Traffic(pair, tmp_path / "ledger") as traffic,
    ):
        program.wait_for("ready")
        for number in (7, 1, 2, 3):
            traffic.send(number)
        _wait_for_begun(traffic)
        started = time.monotonic()
        program.signal(signal.SIGTERM)
        assert program.ended(35) == 70, program.text
        took = time.monotonic() - started
        account = traffic.account()
    assert took < 20, f"{took:.1f} s for a deadline of 2 s"
    assert "did not finish event" in program.text
    assert "leaving without them" in program.text
    assert (account.handled, len(account.lost)) == (4, 0), account


@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
@pytest.mark.parametrize("peer", ["nobody", "deaf"])
def test_a_signal_while_it_connects(protocol: str, peer: str, tmp_path: Path) -> None:
    """SIGTERM while run() cannot connect, to a closed port or a peer that says nothing, ends it soon with 0.

    Nobody who obeys it only when start() has ended, after its 30 s, is in time.
    """
    with contextlib.ExitStack() as stack, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"{protocol}://u:p@127.0.0.1:{listening.getsockname()[1]}/?heartbeat=60&connect_timeout=60"
        if peer == "deaf":
            listening.settimeout(PATIENCE)
            listening.listen()
        with service(tmp_path, url, "nobody", start=False) as program:
            program.wait_for("ready")
            if peer == "deaf":
                stack.enter_context(listening.accept()[0])
            else:
                program.wait_for("has no connection yet")
            program.signal(signal.SIGTERM)
            assert program.ended(25) == 0, program.text
    assert "start() was given up before it had ended" in program.text
    assert "Traceback" not in program.text


def test_fork_after_start(pair: Pair, tmp_path: Path) -> None:
    """A child forked after start() is refused; its end, with atexit or without, harms no manager or connection."""
    with Program(tmp_path / "fork.log", "tests.faults.signals.fork", pair.url(), pair.prefix) as program:
        assert program.ended(PATIENCE) == 0, program.text
    said = [line for line in program.text.splitlines() if not re.match("INFO|WARNING|ERROR", line)]
    refusals = ["send refused", "stop refused", "pause refused"]
    beats = [f"heard {number}" for number in range(2, 50)]
    assert said == ["heard 0", *refusals, "child 0", "heard 1", *refusals, "child 0", *beats, "ready True"], (
        program.text
    )
    assert "lost its connection" not in program.text
    assert re.search(r"stopped: \d finished, 0 released, 0 abandoned", program.text), (
        "stopped at its end, by the parent"
    )


def _wait_for_begun(traffic: Traffic) -> None:
    wait_until(lambda: traffic.count(BEGUN) > 0, "a listener began")
