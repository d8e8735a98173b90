"""pause() and resume() on real brokers: others get the events, a reconnect changes nothing, and nothing is lost."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from aspyx_event import EventManager, EventRegistry, event, event_listener
from aspyx_event.testing.proxy import TcpProxy
from tests.faults.pairs import Pair
from tests.faults.signals.event import Ping, event_of
from tests.faults.waiting import wait_until

START_TIMEOUT = 60.0


class Seen:
    """Who handled which number, in order. Thread-safe; the first event of ``first`` waits for ``gate``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[tuple[str, int]] = []
        self.reached = threading.Event()
        self.gate = threading.Event()

    def listener(self, kind: Any, prefix: str, who: str, **options: Any) -> Any:
        """The same listener, in another manager."""

        def on(received: Any) -> None:
            if (who, received.number) == ("first", 0):
                self.reached.set()
                assert self.gate.wait(60), "nobody opened the gate"
            with self._lock:
                self._seen.append((who, received.number))

        return event_listener(kind, f"ping-{prefix}", **options)(on)

    def of(self, who: str) -> list[int]:
        """The numbers that one of them handled."""
        with self._lock:
            return [number for name, number in self._seen if name == who]

    def has(self, who: str, count: int) -> bool:
        """Whether it handled so many."""
        return len(self.of(who)) == count

    def stays_at(self, who: str, count: int, seconds: float = 2.0) -> bool:
        """Whether it handled so many, and no more for a while."""
        threading.Event().wait(seconds)
        return len(self.of(who)) == count


@contextmanager
def started(url: str, listener: Any) -> Iterator[EventManager]:
    """A manager that listens."""
    manager = EventManager(url, registry=EventRegistry().register(listener), workers=4)
    manager.start(START_TIMEOUT)
    try:
        yield manager
    finally:
        manager.stop()


def test_others_get_the_events(pair: Pair) -> None:
    """At pause() what runs is finished, and all that waits, here and unseen, goes to another process, in order."""
    kind, seen = event_of(pair.prefix), Seen()
    name = f"ping-{pair.prefix}"
    first = seen.listener(kind, pair.prefix, "first", concurrency=1, prefetch=10)
    second = seen.listener(kind, pair.prefix, "second", concurrency=1)
    with started(pair.url(), first) as one:
        for number in range(40):
            one.send_event(kind(number))
        assert seen.reached.wait(30)
        wait_until(lambda: one.health().listeners[name].in_flight == 10, "as many in flight as may be")
        one.pause(name)
        assert one.health().listeners[name].detail == "by pause()"
        seen.gate.set()  # over STOMP what waits unseen is given back when nothing runs any more
        wait_until(lambda: one.health().listeners[name].in_flight == 0, "nothing in flight")
        threading.Event().wait(1.0)  # for the broker, which tells nobody when it has put all back
        with started(pair.url(), second):
            wait_until(lambda: len(seen.of("second")) >= 39, f"all handled by the second, not {seen.of('second')}")
            got = seen.of("second")
            if pair.name == "stomp/rabbitmq":  # what it sent for the last ACK may come back before what it sent earlier
                got = sorted(got)
            assert got == list(range(1, 40))
            assert seen.of("first") == [0]
            assert one.health().status == "degraded"
        one.resume(name)
        one.send_event(kind(99))
        wait_until(lambda: seen.of("first") == [0, 99], f"handled again, {seen.of('first')}")
        assert one.health().status == "ok"


def test_a_pause_survives_a_reconnect(pair: Pair) -> None:
    """A listener that is paused gets nothing after a reconnect, either, and everything after resume()."""
    kind, seen = event_of(pair.prefix), Seen()
    listener = seen.listener(kind, pair.prefix, "one", concurrency=1)
    with TcpProxy("127.0.0.1", pair.port) as proxy, started(pair.url(port=proxy.port), listener) as manager:
        manager.pause()
        manager.send_event(kind(1))
        before = proxy.connections
        proxy.cut()
        wait_until(lambda: proxy.connections > before and manager.health().ready, "connected again")
        manager.send_event(kind(2))
        assert seen.stays_at("one", 0)
        assert manager.health().listeners[f"ping-{pair.prefix}"].state == "paused"
        manager.resume()
        wait_until(lambda: seen.of("one") == [1, 2], f"both handled, in order: {seen.of('one')}")


def test_pausing_without_end(pair: Pair) -> None:
    """Two managers that are paused and resumed in turns, under traffic, handle every event."""
    kind, seen = event_of(pair.prefix), Seen()
    listeners = [seen.listener(kind, pair.prefix, who) for who in ("one", "two")]
    with started(pair.url(), listeners[0]) as one, started(pair.url(), listeners[1]) as two:
        for round in range(8):
            resting, working = (one, two) if round % 2 else (two, one)
            resting.pause()
            working.resume()
            for number in range(30):
                working.send_event(kind(round * 30 + number))
        for manager in (one, two):
            manager.resume()

        def handled() -> Counter[int]:
            return Counter(seen.of("one") + seen.of("two"))

        wait_until(lambda: len(handled()) == 240, f"all handled, not {len(handled())}")
        assert seen.of("one")
        assert seen.of("two")


@pytest.mark.artemis
def test_a_listener_that_is_not_durable_keeps_its_queue(artemis: Any) -> None:
    """A queue that goes with its last consumer stays during a pause: what is sent meanwhile is not lost."""
    for protocol in ("amqp", "stomp"):
        pair = Pair.on(f"{protocol}/artemis", artemis)
        kind: Any = event(f"Fleeting-{pair.prefix}")(type("Fleeting", (Ping,), {"__doc__": "Not durable."}))
        seen = Seen()
        with started(pair.url(), seen.listener(kind, pair.prefix, "one")) as manager:
            manager.pause()
            for number in range(5):
                manager.send_event(kind(number))
            assert seen.stays_at("one", 0, 1.0)
            manager.resume()
            wait_until(functools.partial(seen.has, "one", 5), f"all of {protocol}")
