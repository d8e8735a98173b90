"""When a process looks into the file, whatever else it does there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aspyx_event.providers.sqlite import SqliteProvider
from aspyx_event.providers.sqlite.identity import own_identity
from tests.unit.providers.sqlite.support import PASSING, change, envelope, listening, send, started

_SELDOM = 60.0
"""Seconds between two looks: longer than these tests wait for something."""


@contextlib.contextmanager
def _busy(provider: SqliteProvider) -> Iterator[None]:
    """The provider's thread always has something to do: each confirmation is the next send."""
    over, ended = threading.Event(), threading.Event()

    def again() -> None:
        if over.is_set():
            ended.set()
        else:
            provider.send(envelope(), PASSING).add_done_callback(lambda _confirmation: again())

    again()
    try:
        yield
    finally:
        over.set()
        assert ended.wait(30.0)


def test_a_delayed_event_waits_for_no_look(tmp_path: Path) -> None:
    """A delayed event is handed over when its time has come, however long it is until the next look."""
    with started(tmp_path / "events.db", poll=_SELDOM) as provider:
        inbox = listening(provider)
        send(provider, delay=0.3)
        inbox.wait(1)[0].accept()


def test_a_delayed_event_comes_to_a_busy_process(tmp_path: Path) -> None:
    """A delayed event is handed over while the process sends others without a pause."""
    with started(tmp_path / "events.db", poll=_SELDOM) as provider:
        inbox = listening(provider)
        with _busy(provider):
            send(provider, delay=0.3)
            inbox.wait(1)[0].accept()


@pytest.mark.skipif(not own_identity(), reason="only Linux tells here that a process is dead")
def test_a_busy_process_finds_the_dead(tmp_path: Path) -> None:
    """What a dead process held is handed over while this one sends others without a pause."""
    path = tmp_path / "events.db"
    boot, space, _, start = own_identity().split("/")
    with started(path, poll=0.1) as provider:
        inbox = listening(provider, credit=1)
        send(provider, 2)
        first = inbox.wait(1)[0]
        with _busy(provider):
            change(
                path,
                "INSERT INTO sessions (id, server_name, identity, port) "
                f"VALUES (1000, 'gone', '{boot}/{space}/{2**22 + 1}/{start}', 0)",
            )
            change(path, "UPDATE entries SET holder = 1000 WHERE holder IS NULL AND queue IN (SELECT id FROM queues)")
            first.accept()
            inbox.wait(2)[1].accept()
