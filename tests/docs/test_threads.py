"""The threads that a manager has are those that the page on the life of an event names."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aspyx_event import EventManager, EventRegistry, event, event_listener
from tests.docs.pages import DOCS

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker


@event("Documented")
@dataclass
class Documented:
    """The event."""

    number: int


def _documented() -> re.Pattern[str]:
    """A pattern for the names in the table of threads: what varies at their end may be anything."""
    text = (DOCS / "life-of-an-event.rst").read_text()
    table = text[text.index("   * - your own\n") : text.index("All of them end with")]
    names = re.findall(r"``((?:aspyx-|…)[^`]*)``", "".join(re.findall(r"^   \* - (.*\n)", table, re.MULTILINE)))
    assert len(names) > 10
    beginnings = {re.sub(r"(_N|host:port|server_name.*|queue|file|host|…)$", "", name.lstrip("…")) for name in names}
    return re.compile(
        "|".join(f".*{re.escape(name)}" if name.startswith("-") else re.escape(name) for name in beginnings)
    )


def _threads_of(url: str) -> set[str]:
    """The names of the threads that handling two events, one of them by a coroutine, needs."""
    before = set(threading.enumerate())
    done = threading.Semaphore(0)

    @event_listener(Documented, "documented-sync")
    def on(received: Documented) -> None:
        done.release()

    @event_listener(Documented, "documented-async")
    async def on_async(received: Documented) -> None:
        done.release()

    with EventManager(url, registry=EventRegistry().register(on, on_async)) as manager:
        manager.send_event(Documented(1))
        assert done.acquire(timeout=30)
        assert done.acquire(timeout=30)
        return {thread.name for thread in set(threading.enumerate()) - before}


def _assert_documented(names: set[str]) -> None:
    documented = _documented()
    assert {name for name in names if not documented.match(name)} == set()
    assert {"aspyx-loop", "aspyx-worker_0"} <= names


@pytest.mark.parametrize("scheme", ["local", "sqlite"])
def test_threads_without_a_broker(scheme: str, tmp_path: Path) -> None:
    """In process, and over a file, a manager has no thread that the page does not name."""
    _assert_documented(_threads_of("local://" if scheme == "local" else f"sqlite:///{tmp_path}/events.db"))


@pytest.mark.artemis
@pytest.mark.parametrize("protocol", ["amqp", "stomp"])
def test_threads_on_artemis(protocol: str, artemis: ArtemisBroker) -> None:
    """Over AMQP and STOMP a manager has no thread that the page does not name."""
    port = artemis.amqp_port if protocol == "amqp" else artemis.stomp_port
    names = _threads_of(f"{protocol}://{artemis.user}:{artemis.password}@127.0.0.1:{port}/?prefix=docs-threads")
    _assert_documented(names)
    assert any(name.startswith(f"aspyx-{protocol}-") for name in names)
