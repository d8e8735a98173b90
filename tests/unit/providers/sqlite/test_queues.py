"""What lies in the file, and what goes out of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from aspyx_event import ConfigurationError, LifecycleError, SendRejected, event_listener
from aspyx_event.listeners import describe_listener
from aspyx_event.providers.sqlite import reception
from tests.unit.providers.sqlite.support import (
    BILLING,
    DEADLINE,
    ORDER,
    PASSING,
    WATCHING,
    Order,
    Passing,
    ask,
    change,
    envelope,
    listening,
    send,
    started,
)


def test_a_message_is_stored_once(tmp_path: Path) -> None:
    """However many listeners an event has, its body is in the file once, and gone when the last is done with it."""

    @event_listener(Order)
    def shipping(event: Order) -> None:
        pass

    path = tmp_path / "events.db"
    with started(path) as provider:
        inboxes = [listening(provider), listening(provider, describe_listener(shipping))]
        send(provider)
        assert ask(path, "SELECT count(*), (SELECT count(*) FROM entries) FROM messages") == [(1, 2)]
        inboxes[0].wait(1)[0].accept()
        inboxes[1].wait(1)[0].accept()
    assert ask(path, "SELECT count(*), (SELECT count(*) FROM entries) FROM messages") == [(0, 0)]


def test_passing_queues_go_after_a_minute(tmp_path: Path) -> None:
    """The queue of a non-durable event is removed, with what it holds, a minute after its last reader; others stay."""
    path = tmp_path / "events.db"
    with started(path) as provider:
        listening(provider, WATCHING).subscription.close(DEADLINE)
        provider.declare(BILLING, timeout=DEADLINE)
        send(provider, 2, kind=PASSING)
        send(provider, 2)
    change(path, "UPDATE queues SET idle_since = idle_since - 55")
    with started(path) as provider:
        send(provider)
    assert ask(path, "SELECT name FROM queues ORDER BY 1") == [("Order::billing",), ("Passing::watching",)]
    change(path, "UPDATE queues SET idle_since = idle_since - 6")
    with started(path) as provider:
        send(provider)
    assert ask(path, "SELECT name FROM queues") == [("Order::billing",)]
    assert ask(path, "SELECT count(*) FROM messages") == [(4,)]


def test_a_queue_that_is_read_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue with a reader stays, however long ago it was idle."""
    monkeypatch.setattr(reception, "HOUSEKEEPING", 0.0)
    path = tmp_path / "events.db"
    with started(path) as provider:
        provider.declare(WATCHING, timeout=DEADLINE)
        inbox = listening(provider, WATCHING)
        assert ask(path, "SELECT idle_since FROM queues") == [(None,)]
        send(provider, 2, kind=PASSING)
        inbox.wait(2)


@event_listener(Passing, per_process=True)
def everywhere(event: Passing) -> None:
    pass


def test_per_process_queues_go_after_an_hour(tmp_path: Path) -> None:
    """The queue of a per_process listener stays for an hour after its process."""
    with started(tmp_path / "events.db") as provider:
        listening(provider, describe_listener(everywhere))
    assert ask(tmp_path / "events.db", "SELECT name, linger FROM queues") == [("Passing::everywhere-test", 3600.0)]


def test_a_second_reader_of_a_per_process_queue_is_reported(tmp_path: Path) -> None:
    """Two processes of one server name, on the queue of a per_process listener: the second one reports it."""
    each = describe_listener(everywhere)
    with started(tmp_path / "events.db") as first, started(tmp_path / "events.db") as second:
        listening(first, each)
        assert first.findings() == []
        listening(second, each)
        [finding] = second.findings()
        assert "'Passing::everywhere-test'" in finding
        assert "server_name of its own" in finding


def test_an_expired_event_is_removed(tmp_path: Path) -> None:
    """What has expired leaves the file, whether somebody reads the queue or not."""
    path = tmp_path / "events.db"
    with started(path) as provider:
        provider.declare(BILLING, timeout=DEADLINE)
        send(provider, 3, ttl=0.001)
        send(provider, 1, ttl=1000)
    change(path, "UPDATE messages SET expires_at = expires_at - 1")
    with started(path) as provider:
        send(provider)
    assert ask(path, "SELECT count(*) FROM messages") == [(2,)]


def test_the_file_shrinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a backlog is worked off, the file gives its pages back, some at a time."""
    monkeypatch.setattr(reception, "HOUSEKEEPING", 0.0)
    path = tmp_path / "events.db"
    with started(path) as provider:
        provider.declare(BILLING, timeout=DEADLINE)
        send(provider, 100, b"x" * 100_000)
    full = path.stat().st_size
    assert full > 10_000_000
    with started(path) as provider:
        inbox = listening(provider)
        for delivery in inbox.wait(100):
            delivery.accept()
        for _ in range(5):
            provider.declare(BILLING, timeout=DEADLINE)
    assert path.stat().st_size < full / 2
    assert not (tmp_path / "events.db-wal").exists()


def test_order_and_delay(tmp_path: Path) -> None:
    """Events come in the order of their sending; a delayed one not before its time, also in another process's life."""
    path = tmp_path / "events.db"
    with started(path) as provider:
        provider.declare(BILLING, timeout=DEADLINE)
        began = time.time()
        send(provider, 1, b"late", delay=1.0)
        for number in range(5):
            send(provider, 1, b"%d" % number)
    with started(path) as provider:
        found = listening(provider).wait(6)
        assert time.time() - began >= 1.0
    assert [delivery.read().body for delivery in found] == [b"0", b"1", b"2", b"3", b"4", b"late"]


def test_forwarding_to_a_queue_that_is_gone_is_refused(tmp_path: Path) -> None:
    """A copy to a queue that is not there is refused by name: it is not lost in silence."""
    with started(tmp_path / "events.db") as provider:
        inbox = listening(provider)
        send(provider)
        [delivery] = inbox.wait(1)
        with pytest.raises(SendRejected, match=r"no queue 'Order::gone'"):
            delivery.forward("Order::gone", {}).result(DEADLINE)


def test_one_queue_name_for_two_events_is_refused(tmp_path: Path) -> None:
    """Two events with listeners of one name: the second is told whose queue it is, and how to get rid of an old one."""

    @event_listener(Passing, name="billing")
    def other(event: Passing) -> None:
        pass

    with started(tmp_path / "events.db") as provider:
        provider.declare(BILLING, timeout=DEADLINE)
        with pytest.raises(ConfigurationError, match=r"belongs to event 'Order'.*delete its row"):
            provider.declare(describe_listener(other), timeout=DEADLINE)


def test_topology_and_check(tmp_path: Path) -> None:
    """The provider tells what the file has to hold, and finds what is missing."""
    with started(tmp_path / "events.db") as provider:
        targets = [ORDER, BILLING, WATCHING, provider.error_queue]
        names = [(resource.name, dict(resource.properties)) for resource in provider.topology(targets).resources]
        assert names == [("Order::billing", {}), ("Passing::watching", {"delete-after": 60_000}), ("error", {})]
        assert len(provider.check(targets, timeout=DEADLINE)) == 3
        for target in targets:
            provider.declare(target, timeout=DEADLINE)
        assert provider.check(targets, timeout=DEADLINE) == []
    with pytest.raises(LifecycleError):
        provider.check(targets, timeout=DEADLINE)


@pytest.mark.parametrize("odd", ["\ud800", "a\0b", "x" * 10_000])
def test_an_id_that_the_file_cannot_hold_harms_nobody_else(odd: str, tmp_path: Path) -> None:
    """An event whose id cannot be written fails alone, or is stored: those sent with it are."""
    with started(tmp_path / "events.db") as provider:
        inbox = listening(provider)
        strange = envelope()
        strange.wire_headers["cloudEvents_id"] = odd
        confirmations = [provider.send(one, ORDER) for one in (envelope(b"1"), strange, envelope(b"2"))]
        error = confirmations[1].exception(DEADLINE)
        for one in (confirmations[0], confirmations[2]):
            one.result(DEADLINE)
        bodies = [delivery.read().body for delivery in inbox.wait(2 if error else 3)]
        assert {b"1", b"2"} <= set(bodies)
        assert provider.connected
