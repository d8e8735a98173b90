"""A broker that is not there, goes away, or says nothing any more."""

from __future__ import annotations

import threading
import time
from typing import Callable

import pytest

from aspyx_event.exceptions import ProviderUnavailable
from aspyx_event.testing.conformance.bench import Bench, Suite
from aspyx_event.testing.conformance.recorder import Handled
from aspyx_event.testing.conformance.sending import Sending

SILENCE = 45.0
"""Seconds within which a silent peer has to be noticed: two or three heartbeats of 10 s, and some patience."""


def _slow(_call: Handled) -> None:
    threading.Event().wait(0.002)


class OutageTests(Suite):
    """Listeners come back by themselves, and what was confirmed is handled."""

    @pytest.mark.parametrize("fault", ["refuse", "deaf", "stall"])
    def test_starting_without_a_broker(self, bench: Bench, fault: str) -> None:
        """start() without an answer raises ProviderUnavailable in time, leaves nothing behind, and works later on."""
        with self.proxy() as proxy:
            {"refuse": lambda: proxy.cut(refuse=True), "deaf": proxy.deaf, "stall": proxy.stall}[fault]()
            provider = bench.provider(port=proxy.port)
            threads = set(threading.enumerate())
            began = time.monotonic()
            with pytest.raises(ProviderUnavailable, match=str(proxy.port)):
                provider.start(lambda _state: None, timeout=1.0)
            assert time.monotonic() - began < 3.0
            assert set(threading.enumerate()) <= threads
            assert not provider.connected
            proxy.heal()
            provider.start(lambda _state: None, timeout=30)
            assert provider.connected
            provider.stop(timeout=10)

    @pytest.mark.parametrize("after", [1, 9, 100, 400, 1200, 3000])
    def test_a_connection_that_ends_while_it_starts(self, bench: Bench, after: int) -> None:
        """Wherever in its first steps the connection ends: start() gets on, or raises ProviderUnavailable."""
        kind = bench.event()
        with self.proxy() as proxy:
            proxy.truncate("down", after)
            listener = bench.listener(kind, "one")
            try:
                manager = bench.manager(listener, port=proxy.port)
            except ProviderUnavailable:
                proxy.heal()
                manager = bench.manager(listener, port=proxy.port)
            manager.send_event(kind(1), timeout=30)
            bench.recorder.wait(1)
            manager.stop()

    @pytest.mark.slow
    def test_a_silent_peer_is_a_lost_connection(self, bench: Bench) -> None:
        """A connection on which nothing comes any more is given up and made again, without anybody closing it."""
        kind = bench.event()
        with self.proxy() as proxy:
            manager = bench.manager(bench.listener(kind, "one"), port=proxy.port)
            before = proxy.connections
            proxy.stall()
            assert proxy.wait_for_connections(before + 1, SILENCE)
            proxy.cut()
            proxy.heal()
            manager.send_event(kind(1), timeout=40)
            bench.recorder.wait(1)
            manager.stop()

    @pytest.mark.slow
    def test_listeners_survive_a_restart_of_the_broker(self, bench: Bench) -> None:
        """A broker restarts: what was sent before, meanwhile and afterwards is confirmed and handled."""
        self.needs_hook("restart_broker")
        self._survive(bench, self.restart_broker)

    @pytest.mark.slow
    def test_listeners_survive_a_crash_of_the_broker(self, bench: Bench) -> None:
        """A broker crashes: what was sent before, meanwhile and afterwards is confirmed and handled."""
        self.needs_hook("kill_broker")
        self._survive(bench, self.kill_broker)

    def _survive(self, bench: Bench, end: Callable[[], None]) -> None:
        kind = bench.event()
        manager = bench.manager(bench.listener(kind, "one", action=_slow, prefetch=20))
        self.needs("durable", manager.provider)
        manager.send_events([kind(number) for number in range(200)])
        bench.recorder.wait(20)
        sending = Sending(manager, [kind(number) for number in range(200, 1200)], singly=True)
        bench.recorder.wait_until(lambda calls: any(call.number >= 200 for call in calls), "event sent singly")
        end()
        failed = {event.number for event in sending.failed()}
        manager.send_events([kind(number) for number in range(1200, 1300)], timeout=60)
        bench.recorder.wait_for_numbers(set(range(1300)) - failed, timeout=60)
        assert not failed  # each of them had a minute

    @pytest.mark.slow
    def test_a_crash_of_the_broker_loses_no_durable_event(self, bench: Bench) -> None:
        """Confirmed durable events that nobody handled yet are there after a crash of the broker, delayed ones too."""
        self.needs_hook("kill_broker")
        kind = bench.event()
        listener = bench.listener(kind, "one")
        sender = bench.manager(listener, server="sender", listen=False)
        self.needs("durable", sender.provider)
        sender.send_events([kind(number) for number in range(100)])
        delays = (4, 6, 8, 10, 12) if sender.provider.capabilities.delay else ()  # before, at, and after the start
        for number, delay in enumerate(delays, 100):
            sender.send_event(kind(number), delay=delay)
        self.kill_broker()
        bench.manager(listener, server="listener")
        bench.recorder.wait_for_numbers(range(100 + len(delays)), timeout=60)
        bench.recorder.wait_for_quiet()
        # What waited in the broker may come twice: it is passed on at least once.
        assert {count for number, count in bench.recorder.numbers().items() if number < 100} == {1}
