"""Files that cannot be used, and files that cannot be used any more."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from aspyx_event import ConfigurationError, LifecycleError, ProviderState, ProviderUnavailable, SendRejected
from aspyx_event.providers.sqlite import SqliteProvider, SqliteSettings, engine
from aspyx_event.providers.sqlite.file import DatabaseFile
from aspyx_event.timing import Deadline
from tests.unit.providers.sqlite.support import (
    BILLING,
    DEADLINE,
    ORDER,
    ask,
    change,
    envelope,
    listening,
    send,
    started,
)
from tests.unit.support import Collected, run_script


def _refusal(path: Path, timeout: float = 5) -> str:
    provider = SqliteProvider(str(path), server_name="test")
    before = threading.active_count()
    with pytest.raises(ConfigurationError) as caught:
        provider.start(lambda _state: None, timeout=timeout)
    assert not provider.connected
    assert threading.active_count() == before
    return str(caught.value)


def test_a_folder(tmp_path: Path) -> None:
    """A folder instead of a file is refused by name."""
    assert f"{str(tmp_path)!r} is a folder" in _refusal(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    """A folder that is not there is not made: the error names it."""
    assert f"there is no folder {str(tmp_path / 'no')!r}" in _refusal(tmp_path / "no" / "events.db")


def test_no_database(tmp_path: Path) -> None:
    """A file that is no database is refused, and left as it is."""
    path = tmp_path / "events.db"
    path.write_text("a poem, and a long one at that, since SQLite takes short files for empty ones\n" * 100)
    before = path.read_bytes()
    assert "is no SQLite database" in _refusal(path)
    assert path.read_bytes() == before


def test_another_programs_database(tmp_path: Path) -> None:
    """Another program's database is refused, and no table is made in it."""
    path = tmp_path / "django.db"
    change(path, "CREATE TABLE users (name)")
    assert "is the database of another program" in _refusal(path)
    assert ask(path, "SELECT name FROM sqlite_master") == [("users",)]


def test_a_newer_version(tmp_path: Path) -> None:
    """A file with a newer schema is refused; it says which, and what to do."""
    path = tmp_path / "events.db"
    with started(path):
        pass
    change(path, "PRAGMA user_version = 7")
    refusal = _refusal(path)
    assert "schema 7, this one knows 1" in refusal
    assert "update aspyx-event" in refusal


def test_a_damaged_file(tmp_path: Path) -> None:
    """A file whose pages are overwritten is refused as damaged."""
    path = tmp_path / "events.db"
    with started(path) as provider:
        listening(provider)
        send(provider, 50, b"x" * 1000)
    data = bytearray(path.read_bytes())
    data[100:4096] = b"\xff" * 3996
    path.write_bytes(data)
    assert "is damaged" in _refusal(path)


_READ_ONLY = """
import os, sys
from aspyx_event import ConfigurationError, SqliteProvider
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)  # root may write everything
try:
    SqliteProvider(sys.argv[1]).start(print, timeout=5)
except ConfigurationError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs users")
@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_cannot_be_written(there: bool, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    """A file, or a folder, that this user cannot write is an error that says what has to be writable."""
    path = tmp_path / "events.db"
    if there:
        with started(path):
            pass
    for parent in (tmp_path, *tmp_path.parents):
        if parent == parent.parent or os.stat(parent).st_uid != os.getuid() or parent.stat().st_mode & 0o005 == 0o005:
            continue
        parent.chmod(0o755)
    tmp_path.chmod(0o555)
    path.chmod(0o444) if there else None
    result = run_script(_READ_ONLY, str(path))
    tmp_path.chmod(0o755)
    assert "cannot be opened for writing" in result.stdout, result.stderr
    assert "-wal" in result.stdout


def test_a_locked_file_at_the_start(tmp_path: Path) -> None:
    """A file that another program keeps locked is ProviderUnavailable, within the timeout."""
    path = tmp_path / "events.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        provider = SqliteProvider(str(path), server_name="test")
        deadline = Deadline(DEADLINE)
        with pytest.raises(ProviderUnavailable, match="locked"):
            provider.start(lambda _state: None, timeout=0.5)
        assert not deadline.passed
        other.execute("ROLLBACK")
    provider.start(lambda _state: None, timeout=DEADLINE)
    provider.stop(timeout=DEADLINE)


def test_a_file_that_is_locked_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends wait while another program keeps the file locked; that shows in the state, and ends by itself."""
    monkeypatch.setattr(engine, "PATIENCE", 0.5)
    path = tmp_path / "events.db"
    states: Collected[ProviderState] = Collected()
    with started(path, on_state=states) as provider:
        provider.declare(BILLING, timeout=DEADLINE)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting, given_up = provider.send(envelope(), ORDER), provider.send(envelope(), ORDER)
            assert "locked" in str(states.wait(2)[1].error)
            assert not provider.connected
            assert not waiting.done()
            given_up.cancel()
            other.execute("ROLLBACK")
        waiting.result(DEADLINE)
        assert provider.connected
        assert ask(path, "SELECT count(*) FROM entries") == [(1,)]


def test_stopping_while_it_is_locked(tmp_path: Path) -> None:
    """stop() comes back within its time from a file that is locked, and what was not written fails."""
    path = tmp_path / "events.db"
    with started(path) as provider:
        provider.declare(BILLING, timeout=DEADLINE)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = provider.send(envelope(), ORDER)
            provider.stop(timeout=0.2)
            with pytest.raises(ProviderUnavailable):
                waiting.result(DEADLINE)


def test_a_full_file(tmp_path: Path) -> None:
    """A file at its max_size rejects what has no room, and goes on with the rest, and with everything once there is."""
    path = tmp_path / "events.db"
    with started(path, max_size=2 * 1024 * 1024) as provider:
        inbox = listening(provider, credit=5)
        big = [provider.send(envelope(b"x" * 100_000), ORDER) for _ in range(40)]
        refused = [error for error in (one.exception(DEADLINE) for one in big) if error is not None]
        assert refused
        assert all(isinstance(error, SendRejected) and "no room" in str(error) for error in refused)
        assert path.stat().st_size <= 2 * 1024 * 1024
        assert provider.connected
        stored = len(big) - len(refused)
        assert stored >= 10
        for number in range(stored):
            inbox.wait(number + 1)[number].accept()
        send(provider, 10, b"x" * 100_000)
        inbox.wait(stored + 5)


def test_a_disk_with_little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less than min_free on the disk sends are rejected; what is there is handled, retried and laid aside."""
    with started(tmp_path / "events.db") as provider:
        inbox = listening(provider)
        send(provider, 2)
        monkeypatch.setattr(DatabaseFile, "free", SqliteSettings.min_free - 1)
        refused = provider.send(envelope(), ORDER).exception(DEADLINE)
        assert isinstance(refused, SendRejected)
        assert f"min_free={64 * 1024 * 1024} bytes are kept" in str(refused)
        first, second = inbox.wait(2)
        first.accept()
        second.forward(provider.error_queue, {}).result(DEADLINE)
        second.accept()
        assert len(list(provider.browse(provider.error_queue, timeout=DEADLINE))) == 1
        monkeypatch.undo()
        send(provider, 1)


def test_a_file_that_was_removed(tmp_path: Path) -> None:
    """When the file is removed, a new one is made: what was declared is there again, and listeners go on."""
    path = tmp_path / "events.db"
    with started(path) as provider:
        inbox = listening(provider)
        send(provider)
        [old] = inbox.wait(1)
        for file in tmp_path.iterdir():
            file.unlink()
        pause = threading.Event()
        deadline = Deadline(DEADLINE)
        while old.alive and not deadline.passed:  # it is looked at once in a while
            pause.wait(0.05)
        old.accept()
        send(provider, 2)
        inbox.wait(3)
        assert ask(path, "SELECT name FROM queues") == [("Order::billing",)]


def test_a_queue_that_was_removed(tmp_path: Path) -> None:
    """A queue whose row is deleted in a shell goes with all its events; its listener's is made anew."""
    path = tmp_path / "events.db"
    with started(path) as provider:
        inbox = listening(provider, credit=1)
        send(provider, 3)
        inbox.wait(1)
        change(path, "DELETE FROM queues WHERE name = 'Order::billing'")
        assert ask(path, "SELECT count(*) FROM messages") == [(0,)]
        pause = threading.Event()
        deadline = Deadline(DEADLINE)
        while not ask(path, "SELECT 1 FROM queues") and not deadline.passed:
            pause.wait(0.05)
        send(provider)
        inbox.wait(2)


def test_a_provider_is_started_once(tmp_path: Path) -> None:
    """A second start of a started provider is refused; send and subscribe before the first one are, too."""
    with started(tmp_path / "events.db") as provider, pytest.raises(LifecycleError, match="a provider of its own"):
        provider.start(lambda _state: None, timeout=1)
    with pytest.raises(LifecycleError, match="start the provider first"):
        provider.subscribe(BILLING, lambda _delivery: None, credit=1, timeout=1)
    with pytest.raises(ProviderUnavailable, match="not started"):
        provider.send(envelope(), ORDER).result(DEADLINE)


def test_several_processes_make_the_file_at_once(tmp_path: Path) -> None:
    """Providers that start at the same moment on a file that is not there all find it made."""
    for attempt in range(5):  # it is a race
        _make_at_once(tmp_path / f"events-{attempt}.db")


def _make_at_once(path: Path) -> None:
    barrier = threading.Barrier(8)
    failed: list[BaseException] = []

    def start(number: int) -> None:
        barrier.wait(DEADLINE)
        try:
            with started(path, f"s{number}") as provider:
                provider.declare(BILLING, timeout=DEADLINE)
        except BaseException as error:  # noqa: BLE001 - shown below
            failed.append(error)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
