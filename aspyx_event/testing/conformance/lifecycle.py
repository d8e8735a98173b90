"""Starting, stopping, and being away."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from dataclasses import asdict
from typing import Any

import pytest

from aspyx_event.manager import EventManager
from aspyx_event.testing.conformance.bench import TIMEOUT, Bench, Suite
from aspyx_event.testing.conformance.recorder import Handled

_FDS = "/proc/self/fd"


class LifecycleTests(Suite):
    """Nothing is lost, and nothing is left behind."""

    def test_what_a_provider_can_do_is_known_once_it_has_started(self, bench: Bench) -> None:
        """Capabilities are final after start(): a second process, and a second start, find the same."""
        first, second = bench.started_provider("a"), bench.started_provider("b")
        found = first.capabilities
        assert second.capabilities == found
        first.stop(timeout=10)
        first.start(lambda _state: None, timeout=TIMEOUT)
        assert first.capabilities == found
        self.note("capabilities", json.dumps(asdict(found)))

    @pytest.mark.slow
    def test_events_wait_for_a_durable_listener(self, bench: Bench) -> None:
        """Events sent while a durable listener is down are handled when it comes back."""
        kind = bench.event()
        listener = bench.listener(kind, "durable")
        first = bench.manager(listener, server="first")
        self.needs("durable", first.provider)
        first.stop()
        sender = bench.manager(kind, server="sender")
        sender.send_events(kind(number) for number in range(50))
        threading.Event().wait(self.downtime)
        sender.send_events(kind(number) for number in range(50, 100))
        bench.manager(listener, server="second")
        bench.recorder.wait(100)
        bench.recorder.assert_quiet()
        assert bench.recorder.numbers() == Counter(range(100))

    def test_the_durable_queue_is_there_from_the_first_start(self, bench: Bench) -> None:
        """start(listen=False) declares the queues of durable listeners: what is sent then waits for them."""
        kind = bench.event()
        listener = bench.listener(kind, "durable")
        bench.manager(listener, server="sender", listen=False).send_event(kind(1))
        bench.recorder.assert_quiet()
        bench.manager(listener, server="listener")
        bench.recorder.wait(1)

    def test_a_non_durable_listener_comes_back(self, bench: Bench) -> None:
        """A non-durable listener gets what is sent while it is there, before and after a restart."""
        kind = bench.event(durable=False)
        listener = bench.listener(kind, "passing")
        for number in range(2):
            manager = bench.manager(listener, server=f"s{number}")
            manager.send_event(kind(number))
            bench.recorder.wait(number + 1)
            manager.stop()
        assert bench.recorder.numbers() == Counter(range(2))

    def test_stopping_with_work_in_flight_loses_nothing(self, bench: Bench) -> None:
        """stop() lets running listeners finish and gives the rest back: the next manager handles it, nothing twice."""
        kind = bench.event()
        release = threading.Event()

        def hold(_call: Handled) -> None:
            release.wait(20)

        listener = bench.listener(kind, "busy", action=hold, concurrency=2)
        manager = bench.manager(listener, server="first", workers=2)
        manager.send_events(kind(number) for number in range(30))
        bench.recorder.wait(2)
        threading.Timer(0.3, release.set).start()
        result = manager.stop(20)
        assert not result.abandoned
        assert result.finished == 2
        bench.manager(listener, server="second")
        bench.recorder.wait(30)
        bench.recorder.assert_quiet()
        assert bench.recorder.numbers() == Counter(range(30))

    def test_an_abandoned_event_is_given_back(self, bench: Bench) -> None:
        """A listener that does not return in time is reported, and its event goes to the next manager."""
        kind = bench.event()
        release = threading.Event()

        def hang_once(_call: Handled) -> None:
            if len(bench.recorder.calls) == 1:
                release.wait(20)

        listener = bench.listener(kind, "hanging", action=hang_once)
        manager = bench.manager(listener, server="first")
        manager.send_event(kind(1), id="held")
        bench.recorder.wait(1)
        result = manager.stop(0.5)
        assert [abandoned.event_id for abandoned in result.abandoned] == ["held"]
        bench.manager(listener, server="second")
        bench.recorder.wait(2)
        release.set()
        bench.recorder.assert_quiet()

    def test_starting_and_stopping_leaves_nothing_behind(self, bench: Bench) -> None:
        """Twenty starts and stops of one manager leave no thread, file descriptor or further queue."""
        kind, passing = bench.event("durable"), bench.event("passing", durable=False)
        manager = bench.manager(
            bench.listener(kind, "durable"),
            bench.listener(passing, "passing"),
            bench.listener(passing, "each", per_process=True),
        )
        self._cycle(bench, manager, kind(0), passing(0))
        before = self._resources(bench)
        for number in range(1, 21):
            manager.start()
            self._cycle(bench, manager, kind(number), passing(number))
        assert self._resources(bench) == before

    @staticmethod
    def _cycle(bench: Bench, manager: EventManager, *events: Any) -> None:
        wanted = len(bench.recorder.calls) + 3
        for event in events:
            manager.send_event(event)
        bench.recorder.wait(wanted)
        manager.stop()

    def _resources(self, bench: Bench) -> tuple[set[str], int, set[str]]:
        queues = {name for name in self.queue_names() or set() if bench.mark in name}
        threads = {thread.name for thread in threading.enumerate()}
        return threads, len(os.listdir(_FDS)) if os.path.isdir(_FDS) else 0, queues
