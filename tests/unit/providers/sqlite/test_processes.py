"""Several processes on one file: they wake each other, die, hang, and fork."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aspyx_event import ProviderUnavailable
from aspyx_event.providers.sqlite import SqliteProvider, reception
from aspyx_event.providers.sqlite.identity import own_identity
from aspyx_event.timing import Deadline
from tests.unit.providers.sqlite.support import BILLING, DEADLINE, ORDER, ask, envelope, listening, send, started
from tests.unit.support import ROOT, run_script

_CHILD = """
import sys
from pathlib import Path
from tests.unit.providers.sqlite.support import *
with started(Path(sys.argv[1]), "child") as provider:
    {work}
    print("ready", flush=True)
    sys.stdin.readline()
"""
_HOLD = "inbox = listening(provider, credit=3); inbox.wait(3)"
_SEND = "sys.stdin.readline(); send(provider, 1)"

needs_identity = pytest.mark.skipif(not own_identity(), reason="a process can only be looked at on Linux")


@contextlib.contextmanager
def child(path: Path, work: str) -> Iterator[subprocess.Popen[str]]:
    """Another process with a provider of its own; its standard input ends it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD.format(work=work), str(path)],
        cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@needs_identity
def test_what_a_dead_process_held_is_delivered_again(tmp_path: Path) -> None:
    """A process is killed: what it held comes to another one, in its old order, with one failed delivery counted."""
    path = tmp_path / "events.db"
    with started(path) as provider:
        provider.declare(BILLING, timeout=DEADLINE)
        for number in range(5):
            send(provider, 1, b'{"id":%d}' % number)
        with child(path, _HOLD) as process:
            assert said(process) == "ready"
            inbox = listening(provider)
            inbox.wait(2)
            process.kill()
            process.wait(DEADLINE)
            found = [delivery.read() for delivery in inbox.wait(5)]
    assert [envelope.body for envelope in found] == [b'{"id":%d}' % number for number in (3, 4, 0, 1, 2)]
    assert [envelope.delivery_count for envelope in found] == [0, 0, 1, 1, 1]


def test_a_process_that_ends_gives_back_without_a_count(tmp_path: Path) -> None:
    """A process that stops its provider gives back what it held, and no failed delivery is counted."""
    path = tmp_path / "events.db"
    with started(path) as provider:
        provider.declare(BILLING, timeout=DEADLINE)
        send(provider, 3)
        with child(path, _HOLD) as process:
            assert said(process) == "ready"
            tell(process)
            assert process.wait(DEADLINE) == 0
        found = [delivery.read() for delivery in listening(provider).wait(3)]
    assert [envelope.delivery_count for envelope in found] == [0, 0, 0]
    assert ask(path, "SELECT * FROM sessions") == []


def test_a_process_that_hangs_loses_its_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that gives no sign of life loses what it held; once it wakes, it goes on with a new lease."""
    monkeypatch.setattr(reception, "LEASE", 2.0)
    path = tmp_path / "events.db"
    with child(
        path, "inbox = listening(provider, credit=3); inbox.wait(3); print('held', flush=True); inbox.wait(4)"
    ) as process:
        with started(path, poll=0.2) as provider:
            provider.declare(BILLING, timeout=DEADLINE)
            send(provider, 3)
            assert said(process) == "held"
            process.send_signal(signal.SIGSTOP)
            inbox = listening(provider)
            for delivery in inbox.wait(3):
                assert delivery.read().delivery_count == 1
                delivery.accept()
            inbox.subscription.close(DEADLINE)
            process.send_signal(signal.SIGCONT)
            send(provider, 1)
            assert said(process) == "ready"
        tell(process)
        assert process.wait(DEADLINE) == 0


def test_a_sent_event_wakes_another_process(tmp_path: Path) -> None:
    """An event that another process sends comes without waiting for the next look, which is a minute away here."""
    path = tmp_path / "events.db"
    with started(path, poll=60.0) as provider:
        inbox = listening(provider)
        with child(path, _SEND) as process:
            tell(process)
            inbox.wait(1)
            assert said(process) == "ready"


def test_without_calls_an_event_comes_with_the_next_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can call another, an event comes with the next look into the file."""
    monkeypatch.setattr("aspyx_event.providers.sqlite.waking._bound", lambda: None)
    path = tmp_path / "events.db"
    with started(path, poll=0.1) as provider:
        inbox = listening(provider)
        with child(path, _SEND) as process:
            tell(process)
            inbox.wait(1)


def test_two_processes_share_a_queue(tmp_path: Path) -> None:
    """While one process sends and reads, the other gets its share: the sender does not keep all to itself."""
    path = tmp_path / "events.db"
    with started(path) as provider, child(path, "inbox = listening(provider, credit=1); inbox.wait(1)") as process:
        inbox = listening(provider)
        deadline = Deadline(DEADLINE)
        pause = threading.Event()
        while len(ask(path, "SELECT id FROM consumers")) < 2 and not deadline.passed:
            pause.wait(0.05)
        send(provider, 20)
        assert said(process) == "ready"
        assert inbox.wait(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_leaves_the_file_alone(tmp_path: Path) -> None:
    """A fork in the middle of traffic: the parent goes on, the child's copy refuses, and the file stays sound."""
    path = tmp_path / "events.db"
    with started(path) as provider:
        inbox = listening(provider, credit=10_000)
        stop = threading.Event()
        sent = []

        def traffic() -> None:
            while not stop.is_set():
                send(provider, 5)
                sent.append(5)

        thread = threading.Thread(target=traffic, name="traffic")
        thread.start()
        codes = []
        for _ in range(5):
            inbox.wait(len(inbox.deliveries) + 5)
            pid = os.fork()
            if pid == 0:
                os._exit(_in_the_child(path, provider))
            codes.append(os.waitpid(pid, 0)[1])
        stop.set()
        thread.join(DEADLINE)
        inbox.wait(sum(sent) + 5)
        assert codes == [0] * 5
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]
    assert ask(path, "SELECT * FROM sessions") == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_does_not_wait_for_a_locked_file(tmp_path: Path) -> None:
    """While another program keeps the file locked, and the provider tries again and again, a fork gets its turn."""
    path = tmp_path / "events.db"
    with started(path) as provider:
        provider.declare(BILLING, timeout=DEADLINE)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = provider.send(envelope(), ORDER)
            for _ in range(3):
                pid = os.fork()
                if pid == 0:
                    os._exit(0)
                assert os.waitpid(pid, 0)[1] == 0
            assert not waiting.done()
            other.execute("ROLLBACK")
        waiting.result(DEADLINE)


def _in_the_child(path: Path, inherited: SqliteProvider) -> int:
    """0: the inherited provider refuses and can be stopped, and one of its own works."""
    try:
        if inherited.connected or not isinstance(inherited.send(envelope(), ORDER).exception(1), ProviderUnavailable):
            return 1
        inherited.stop(timeout=1)
        with started(path, "forked") as own:
            send(own, 1)
    except BaseException:  # noqa: BLE001 - the code says it
        return 2
    return 0


_KILLER = """
import os, sys, threading
from aspyx_event import EventManager, EventRegistry, Result, SqliteProvider, event_listener
from aspyx_event.delivery import attempt
from tests.unit.providers.sqlite.support import Order

@event_listener(Order)
def billing(event: Order) -> None:
    os._exit(9)

attempt.CRASH_LIMIT = 2
over = threading.Event()
manager = EventManager(
    SqliteProvider(sys.argv[1]), registry=EventRegistry().register(billing),
    observers=[lambda outcome: over.set() if outcome.result is Result.DEAD_LETTERED else None],
)
with manager:
    if len(sys.argv) > 2:
        manager.send_event(Order(1))
    assert over.wait(30)
    print([letter.reason for letter in manager.dead_letters()])
"""


@needs_identity
def test_an_event_that_kills_its_process_ends_in_the_error_queue(tmp_path: Path) -> None:
    """An event whose listener ends the process each time lies in the error queue after so many such ends."""
    path = str(tmp_path / "events.db")
    first, second, last = (run_script(_KILLER, path, *more) for more in (["send"], [], []))
    assert (first.returncode, second.returncode) == (9, 9)
    assert (last.returncode, last.stdout.splitlines()[-1]) == (0, "['crashed']"), last.stderr
