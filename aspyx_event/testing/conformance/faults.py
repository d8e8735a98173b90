"""A connection that breaks, a broker that goes away."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from aspyx_event.exceptions import ProviderError, SendEventsError
from aspyx_event.manager import EventManager
from aspyx_event.testing.conformance.bench import Bench, Suite
from aspyx_event.testing.conformance.recorder import Handled
from aspyx_event.testing.proxy import TcpProxy

CREDIT = 20


def _slow(_call: Handled) -> None:
    threading.Event().wait(0.002)


class FaultTests(Suite):
    """Nothing confirmed is lost; duplicates are bounded by what was in flight."""

    def test_a_cut_connection_loses_nothing(self, bench: Bench) -> None:
        """Connections cut while events are sent and handled: all that was confirmed is handled, few twice."""
        port = self.broker_port()
        if port is None:
            pytest.skip("there is no connection that could be cut")
        kind = bench.event()
        with TcpProxy("127.0.0.1", port) as proxy:
            listener = bench.listener(kind, "one", action=_slow, prefetch=CREDIT)
            manager = bench.manager(listener, port=proxy.port)
            cuts = 3
            for round_ in range(cuts):
                sending = _Sending(manager, [kind(round_ * 300 + number) for number in range(300)])
                bench.recorder.wait(round_ * 300 + 100)
                proxy.cut()
                sending.finish()
            bench.recorder.wait_until(
                lambda calls: {call.number for call in calls} == set(range(cuts * 300)), "complete handling"
            )
            bench.recorder.assert_quiet(1.0)
            manager.stop()
        extra = sum(bench.recorder.numbers().values()) - cuts * 300
        # of each cut: what the listener held, and what the sender had written without a confirmation
        assert extra <= cuts * (CREDIT + 512)

    def test_duplicates_after_a_cut_are_bounded_by_the_credit(self, bench: Bench) -> None:
        """A cut while nothing is sent makes no more duplicates than there were deliveries in flight."""
        port = self.broker_port()
        if port is None:
            pytest.skip("there is no connection that could be cut")
        kind = bench.event()
        sender = bench.manager(kind, server="sender")
        with TcpProxy("127.0.0.1", port) as proxy:
            listener = bench.listener(kind, "one", action=_slow, prefetch=CREDIT)
            manager = bench.manager(listener, port=proxy.port)
            sender.send_events(kind(number) for number in range(500))
            bench.recorder.wait(100)
            proxy.cut()
            bench.recorder.wait_until(lambda calls: {c.number for c in calls} == set(range(500)), "complete handling")
            bench.recorder.assert_quiet(1.0)
            manager.stop()
        assert sum(bench.recorder.numbers().values()) - 500 <= CREDIT

    def test_sending_waits_for_the_connection(self, bench: Bench) -> None:
        """An event sent while the broker cannot be reached waits, and is confirmed when it can; else a clear error."""
        port = self.broker_port()
        if port is None:
            pytest.skip("there is no connection that could be cut")
        kind = bench.event()
        with TcpProxy("127.0.0.1", port) as proxy:
            manager = bench.manager(bench.listener(kind, "one"), port=proxy.port)
            proxy.cut(refuse=True)
            with pytest.raises(ProviderError) as caught:
                manager.send_event(kind(1), id="never", timeout=0.5)
            assert caught.value.event_id == "never"
            healing = threading.Timer(1.0, proxy.heal)
            healing.start()
            manager.send_event(kind(2), timeout=30)
            healing.join()
            bench.recorder.wait_until(lambda calls: any(call.number == 2 for call in calls), "event 2")
            manager.stop()

    @pytest.mark.slow
    def test_listeners_survive_a_restart_of_the_broker(self, bench: Bench) -> None:
        """After a restart of the broker listeners come back by themselves; confirmed durable events are all handled."""
        kind = bench.event()
        manager = bench.manager(bench.listener(kind, "one", action=_slow, prefetch=CREDIT))
        manager.send_events([kind(number) for number in range(200)])
        self.restart_broker()
        failed = _send_all(manager, [kind(number) for number in range(200, 400)])
        manager.send_events([kind(number) for number in range(400, 500)], timeout=60)
        wanted = set(range(500)) - {event.number for event in failed}
        bench.recorder.wait_until(lambda calls: wanted <= {call.number for call in calls}, "complete handling")
        assert Counter(bench.recorder.numbers().values())[1] > 0


def _send_all(manager: EventManager, events: list[Any]) -> list[Any]:
    try:
        manager.send_events(events, timeout=60)
    except SendEventsError as error:
        return [failure.event for failure in error.failed]
    return []


class _Sending:
    """send_events in a thread; what it could not confirm is a failure of the test."""

    def __init__(self, manager: EventManager, events: list[Any]) -> None:
        self._failed: list[Any] = []
        self._thread = threading.Thread(target=self._run, args=(manager, events), name="sending")
        self._thread.start()

    def _run(self, manager: EventManager, events: list[Any]) -> None:
        self._failed = _send_all(manager, events)

    def finish(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert not self._failed
