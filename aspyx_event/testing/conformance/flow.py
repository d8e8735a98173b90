"""How events reach listeners."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.listeners import event_listener
from aspyx_event.testing.conformance.bench import Bench, Suite
from aspyx_event.testing.conformance.recorder import Handled


class FlowTests(Suite):
    """From ``send_event`` to ``on``."""

    def test_arrives_once(self, bench: Bench) -> None:
        """An event is handled once, equal to what was sent, as attempt 1, with the id it was given."""
        kind = bench.event()
        manager = bench.manager(bench.listener(kind, "one"))
        manager.send_event(kind(7, "seven"), id="id-7")
        [call] = bench.recorder.wait(1)
        bench.recorder.assert_quiet()
        assert (call.event, call.id, call.attempt) == (kind(7, "seven"), "id-7", 1)
        assert call.envelope.get("cloudEvents_source") == manager.provider.server_name

    @pytest.mark.parametrize(
        "value", ["", "plain", "k:v", "two\nlines\r\n", "back\\slash \\n \\c", "žluťoučký 🐎", " blanks ", "x" * 2000]
    )
    def test_header_values_survive(self, bench: Bench, value: str) -> None:
        """Every text without NUL arrives unchanged as a header."""
        kind = bench.event()
        manager = bench.manager(bench.listener(kind, "one"))
        manager.send_event(kind(1), headers={"tenant": value, "_a.b-c": "x"})
        [call] = bench.recorder.wait(1)
        assert call.envelope.headers == {"tenant": value, "_a.b-c": "x"}

    @pytest.mark.parametrize("text", ["", "NUL \0 and newline \n", "žluťoučký 🐎", "x" * (1024 * 1024)])
    def test_bodies_survive(self, bench: Bench, text: str) -> None:
        """Unicode, control characters and a mebibyte arrive unchanged as a body."""
        kind = bench.event()
        manager = bench.manager(bench.listener(kind, "one"))
        manager.send_event(kind(1, text))
        [call] = bench.recorder.wait(1)
        assert call.event.text == text

    def test_every_listener_gets_it(self, bench: Bench) -> None:
        """Two listeners of one event each get it."""
        kind = bench.event()
        manager = bench.manager(bench.listener(kind, "one"), bench.listener(kind, "two"))
        for number in range(10):
            manager.send_event(kind(number))
        bench.recorder.wait(20)
        bench.recorder.assert_quiet()
        assert bench.recorder.numbers("one") == bench.recorder.numbers("two") == Counter(range(10))

    def test_processes_compete(self, bench: Bench) -> None:
        """Two managers share the events of one listener: each gets some, no event comes twice."""
        kind = bench.event()
        gate = threading.Barrier(2)

        def meet(call: Handled) -> None:  # both managers hold one event before either gets on
            if call.number < 2:
                gate.wait(20)

        first = bench.manager(bench.listener(kind, "shared", action=meet, concurrency=1, prefetch=1), server="a")
        second = bench.manager(bench.listener(kind, "shared", action=meet, concurrency=1, prefetch=1), server="b")
        for number in range(30):
            first.send_event(kind(number))
        bench.recorder.wait(30)
        bench.recorder.assert_quiet()
        assert bench.recorder.numbers() == Counter(range(30))
        counts = [next(iter(manager.health().listeners.values())).handled for manager in (first, second)]
        assert all(counts), counts

    def test_per_process_reaches_every_process(self, bench: Bench) -> None:
        """A per_process listener gets every event in each of two managers, through a queue for each server name."""
        kind = bench.event()
        listener = bench.listener(kind, "each", per_process=True)
        first, second = bench.manager(listener, server="a"), bench.manager(listener, server="b")
        self.needs("per_process", first.provider)
        for number in range(5):
            first.send_event(kind(number))
        bench.recorder.wait(10)
        bench.recorder.assert_quiet()
        assert bench.recorder.numbers() == Counter(dict.fromkeys(range(5), 2))
        assert all(manager.health().listeners[f"each-{bench.mark}"].handled == 5 for manager in (first, second))
        queues = {manager.provider.queue_name(manager.registry.listeners[0]) for manager in (first, second)}
        assert len(queues) == 2

    def test_concurrent_senders(self, bench: Bench) -> None:
        """Sixteen threads send at once; every event is handled once."""
        kind = bench.event()
        manager = bench.manager(bench.listener(kind, "one"))

        def send(thread: int) -> None:
            for number in range(20):
                manager.send_event(kind(thread * 20 + number))

        threads = [threading.Thread(target=send, args=(thread,), name=f"sender-{thread}") for thread in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        bench.recorder.wait(320)
        bench.recorder.assert_quiet()
        assert bench.recorder.numbers() == Counter(range(320))

    def test_pipelined_sending(self, bench: Bench) -> None:
        """A thousand events of one send_events call are each handled once."""
        kind = bench.event()
        manager = bench.manager(bench.listener(kind, "one"))
        manager.send_events(kind(number) for number in range(1000))
        bench.recorder.wait(1000)
        bench.recorder.assert_quiet()
        assert bench.recorder.numbers() == Counter(range(1000))

    def test_order_per_key(self, bench: Bench) -> None:
        """With eight workers the events of one key are handled in the order of their sending, one at a time."""
        kind = bench.event()
        busy: Counter[str] = Counter()
        overlaps = []
        lock = threading.Lock()

        def work(call: Handled) -> None:
            key = call.envelope.key or ""
            with lock:
                busy[key] += 1
                if busy[key] > 1:
                    overlaps.append(call.number)
            threading.Event().wait((call.number * 7 % 5) / 1000)
            with lock:
                busy[key] -= 1

        manager = bench.manager(bench.listener(kind, "one", action=work), workers=8)
        for number in range(200):
            manager.send_event(kind(number), key=f"key-{number % 5}")
        calls = bench.recorder.wait(200)
        for key in range(5):
            mine = [call.number for call in calls if call.envelope.key == f"key-{key}"]
            assert mine == list(range(key, 200, 5))
        assert not overlaps

    def test_no_listener_is_no_error(self, bench: Bench) -> None:
        """Sending an event that nobody listens to is confirmed."""
        for durable in (True, False):
            kind = bench.event(f"unheard-{durable}", durable=durable)
            bench.manager(kind, server=f"s{durable}").send_event(kind(1))

    def test_delayed_sending(self, bench: Bench) -> None:
        """An event with a delay is handled not before it is over."""
        kind = bench.event()
        manager = bench.manager(bench.listener(kind, "one"))
        self.needs("delay", manager.provider)
        began = time.monotonic()
        manager.send_event(kind(1), delay=0.7)
        [call] = bench.recorder.wait(1)
        assert call.at - began >= 0.7

    def test_expired_events_are_not_handled(self, bench: Bench) -> None:
        """An event whose time to live is over when its listener comes is not handled; a later one is."""
        kind = bench.event()
        listener = bench.listener(kind, "one")
        manager = bench.manager(listener, server="first")
        self.needs("ttl", manager.provider)
        manager.stop()
        sender = bench.manager(kind, server="sender")
        sender.send_event(kind(1), ttl=0.2)
        threading.Event().wait(0.5)
        sender.send_event(kind(2))
        bench.manager(listener, server="second")
        bench.recorder.wait(1)
        bench.recorder.assert_quiet()
        assert bench.recorder.numbers() == Counter([2])

    def test_async_listeners(self, bench: Bench) -> None:
        """A coroutine listener gets events like any other."""
        kind = bench.event()

        async def handle(event: Any) -> None:
            bench.recorder.record("async", event)

        manager = bench.manager(event_listener(kind, f"async-{bench.mark}")(handle))
        manager.send_event(kind(3))
        bench.recorder.wait(1)
        assert bench.recorder.numbers("async") == Counter([3])

    def test_listeners_of_one_name_never_share_a_queue(self, bench: Bench) -> None:
        """Two events, a listener of the same name for each: refused where the broker's names are unique, else apart."""
        first, second = bench.event("first"), bench.event("second")
        one = bench.manager(bench.listener(first, "taken"), server="a")
        try:
            two = bench.manager(bench.listener(second, "taken"), server="b")
        except ConfigurationError as refusal:
            if f"taken-{bench.mark}" not in str(refusal):
                raise
            return
        for number in range(10):
            one.send_event(first(number, "first"))
            two.send_event(second(number, "second"))
        bench.recorder.wait(20)
        seen = Counter((type(call.event), call.event.text) for call in bench.recorder.calls)
        assert seen == {(first, "first"): 10, (second, "second"): 10}
