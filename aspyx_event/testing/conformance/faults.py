"""A connection that breaks while it is in use."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from aspyx_event.exceptions import ProviderError
from aspyx_event.testing.conformance.bench import Bench, Suite
from aspyx_event.testing.conformance.recorder import Handled
from aspyx_event.testing.conformance.sending import Sending
from aspyx_event.testing.relay import Direction

CREDIT = 20
WINDOW = 512
"""How many events ``send_events`` may have written without a confirmation."""

_KINDS = ("durable", "passing", "each")


def _all_handled(number: int, calls: list[Handled]) -> bool:
    return {call.listener for call in calls if call.number == number} == set(_KINDS)


def _slow(_call: Handled) -> None:
    threading.Event().wait(0.002)


class FaultTests(Suite):
    """Nothing confirmed is lost; duplicates are bounded by what was in flight."""

    def test_a_cut_connection_loses_nothing(self, bench: Bench) -> None:
        """Connections cut while events are sent and handled: all that was confirmed is handled, few twice."""
        kind = bench.event()
        cuts = 3
        with self.proxy() as proxy:
            listener = bench.listener(kind, "one", action=_slow, prefetch=CREDIT)
            manager = bench.manager(listener, port=proxy.port)
            for round_ in range(cuts):
                sending = Sending(manager, [kind(round_ * 300 + number) for number in range(300)])
                bench.recorder.wait(round_ * 300 + 100)
                proxy.cut()
                assert not sending.failed()
            bench.recorder.wait_for_numbers(range(cuts * 300))
            bench.recorder.wait_for_quiet()  # duplicates of what the sender had to write again come last
            manager.stop()
        # of each cut: what the listener held, and what the sender had written without a confirmation
        assert len(bench.recorder.calls) - cuts * 300 <= cuts * (CREDIT + WINDOW)

    def test_duplicates_after_a_cut_are_bounded_by_the_credit(self, bench: Bench) -> None:
        """A cut while nothing is sent makes no more duplicates than there were deliveries in flight.

        Those are what listeners hold, and as many whose settlements have not reached the broker.
        """
        kind = bench.event()
        with self.proxy() as proxy:
            sender = bench.manager(kind, server="sender")
            listener = bench.listener(kind, "one", action=_slow, prefetch=CREDIT)
            manager = bench.manager(listener, port=proxy.port)
            sender.send_events(kind(number) for number in range(500))
            bench.recorder.wait(100)
            proxy.cut()
            bench.recorder.wait_for_numbers(range(500))
            bench.recorder.wait_for_quiet()  # what comes a second time may come last
            manager.stop()
        assert len(bench.recorder.calls) - 500 <= 2 * CREDIT

    @pytest.mark.parametrize("direction", ["up", "down"])
    @pytest.mark.parametrize("after", [1, 1000, 20_000])
    def test_a_connection_cut_in_the_middle_of_a_frame(self, bench: Bench, direction: Direction, after: int) -> None:
        """Wherever in a frame the connection ends, nothing is lost, and no half of a frame is taken for a whole."""
        kind = bench.event()
        with self.proxy() as proxy:
            listener = bench.listener(kind, "one", action=_slow, prefetch=CREDIT)
            manager = bench.manager(listener, port=proxy.port)
            proxy.truncate(direction, after)
            assert not Sending(manager, [kind(number, "é" * 100) for number in range(300)]).failed()
            bench.recorder.wait_for_numbers(range(300))
            manager.stop()
            assert proxy.connections > 1
        assert {call.event.text for call in bench.recorder.calls} == {"é" * 100}
        assert len(bench.recorder.calls) - 300 <= 2 * CREDIT + WINDOW

    def test_every_kind_of_listener_comes_back(self, bench: Bench) -> None:
        """After a cut durable, non-durable and per_process listeners get events again by themselves."""
        kind, passing = bench.event("durable"), bench.event("passing", durable=False)
        with self.proxy() as proxy:
            manager = bench.manager(
                bench.listener(kind, _KINDS[0]),
                bench.listener(passing, _KINDS[1]),
                bench.listener(passing, _KINDS[2], per_process=True),
                port=proxy.port,
            )
            for number in range(3):
                manager.send_event(kind(number), timeout=30)
                manager.send_event(passing(number), timeout=30)
                bench.recorder.wait_until(partial(_all_handled, number), f"number {number} at each listener")
                before = proxy.connections
                proxy.cut()
                assert proxy.wait_for_connections(before + 1, 30)
                bench.wait_until_ready(manager)
            manager.stop()
        for name in _KINDS:
            assert set(bench.recorder.numbers(name)) == set(range(3))
        assert len(bench.recorder.calls) <= 9 + 9  # what was cut off before its acceptance was written comes twice

    def test_settling_over_a_dead_connection_is_harmless(self, bench: Bench) -> None:
        """An event whose connection broke while it was handled comes again; its first settlement does nothing."""
        kind = bench.event()
        go_on = threading.Event()

        def hold(_call: Handled) -> None:
            if len(bench.recorder.calls) == 1:
                go_on.wait(30)

        with self.proxy() as proxy:
            manager = bench.manager(bench.listener(kind, "one", action=hold), port=proxy.port)
            manager.send_event(kind(1), id="twice")
            bench.recorder.wait(1)
            proxy.cut()
            bench.recorder.wait(2)
            go_on.set()
            bench.recorder.assert_quiet()
            assert [call.id for call in bench.recorder.calls] == ["twice", "twice"]
            assert [call.attempt for call in bench.recorder.calls] == [1, 1]
            manager.stop()
        bench.manager(bench.listener(kind, "one"), server="next")
        bench.recorder.assert_quiet()

    def test_sending_waits_for_the_connection(self, bench: Bench) -> None:
        """An event sent while the broker cannot be reached waits, and is confirmed when it can; else a clear error."""
        kind = bench.event()
        with self.proxy() as proxy:
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
