"""The seam itself: deliveries, settlements, credit."""

from __future__ import annotations

import threading
import time
from typing import Callable

from aspyx_event.envelope import EV_ATTEMPT
from aspyx_event.provider import ProviderState
from aspyx_event.testing.conformance.bench import Bench, Suite
from aspyx_event.testing.conformance.seam import Inbox, Seam


class SettlingTests(Suite):
    """What a provider's deliveries and subscriptions promise."""

    def test_released_comes_back_unchanged(self, bench: Bench) -> None:
        """A released delivery comes again with the same body and headers, attempt included."""
        seam = Seam(bench)
        seam.send(body=b'{"number":5}', headers={EV_ATTEMPT: "3", "tenant": "t"})
        [first] = seam.wait(1)
        before = first.read()
        first.read().wire_headers["tenant"] = "of whoever has read it"
        assert first.read().wire_headers == before.wire_headers, "read() answers a new envelope each time"
        first.release()
        after = seam.wait(2)[1].read()
        assert (after.body, after.wire_headers) == (before.body, before.wire_headers)
        assert (after.attempt, after.delivery_count) == (3, 0)

    def test_released_comes_to_its_own_listener(self, bench: Bench) -> None:
        """What one listener releases comes back to that one; another listener of the event does not see it again."""
        seam = Seam(bench)
        other = seam.another_listener()
        seam.send()
        other.wait(1)
        seam.wait(1)[0].release()
        seam.wait(2)
        other.assert_quiet()
        assert len(seam.deliveries) == 2

    def test_accepted_does_not_come_back(self, bench: Bench) -> None:
        """An accepted delivery is gone, also for the next subscription."""
        seam = Seam(bench)
        seam.send()
        seam.wait(1)[0].accept()
        seam.reopen().assert_quiet()

    def test_settling_twice_is_harmless(self, bench: Bench) -> None:
        """Whatever follows an acceptance, from whichever thread, the message is gone, and nothing else happens."""
        seam = Seam(bench)
        seam.send(20)
        for delivery in seam.wait(20)[:10]:
            _at_once(delivery.accept, delivery.accept)
        for delivery in seam.wait(20)[10:]:
            delivery.accept()
            delivery.release()
            delivery.accept()
            assert not delivery.alive
        seam.assert_quiet()
        assert len(seam.deliveries) == 20
        seam.reopen().assert_quiet()

    def test_accepting_what_was_released_is_harmless(self, bench: Bench) -> None:
        """A released message comes back once, even when its delivery is settled again."""
        seam = Seam(bench)
        seam.send(5)
        for delivery in seam.wait(5):
            delivery.release()
            delivery.accept()
            delivery.release()
        seam.wait(10)
        seam.assert_quiet()
        assert len(seam.deliveries) == 10
        for delivery in seam.deliveries[5:]:
            delivery.accept()
        seam.reopen().assert_quiet()

    def test_racing_settlements_have_one_winner(self, bench: Bench) -> None:
        """When one thread accepts and another releases, the message is gone or comes back once: never both."""
        seam = Seam(bench)
        seam.send(30)
        for delivery in seam.wait(30):
            _at_once(delivery.accept, delivery.release)
        seam.wait_until_quiet()
        back = seam.deliveries[30:]
        ids = [delivery.read().id for delivery in back]
        assert len(ids) == len(set(ids))
        for delivery in back:
            delivery.accept()
        seam.reopen().assert_quiet()

    def test_unsettled_deliveries_outlive_their_provider(self, bench: Bench) -> None:
        """What was not settled when the provider stops is delivered to the next one; settling it late does nothing."""
        seam = Seam(bench)
        seam.send(4)
        first, *rest = seam.wait(4)
        first.accept()
        seam.subscription.close(10)
        seam.provider.stop(timeout=10)
        next_provider = bench.started_provider("next")
        inbox = Inbox()
        next_provider.declare(seam.listener, timeout=10)
        next_provider.subscribe(seam.listener, inbox.receive, credit=100, timeout=10)
        again = inbox.wait(3, timeout=10)
        for delivery in rest:
            delivery.accept()
        inbox.assert_quiet()
        assert sorted(d.read().id for d in again) == sorted(d.read().id for d in rest)
        assert all(delivery.alive for delivery in again)

    def test_credit_is_a_bound(self, bench: Bench) -> None:
        """No more than ``credit`` deliveries are handed over and unsettled, and settling one lets one more come."""
        seam = Seam(bench, credit=4)
        seam.send(20)
        seam.wait(4)
        seam.assert_quiet()
        assert len(seam.deliveries) == 4
        seen = 4
        while seen < 20:
            seam.deliveries[seen - 4].accept()
            seen += 1
            seam.wait(seen)
        seam.assert_quiet(0.2)

    def test_credit_can_change(self, bench: Bench) -> None:
        """A higher credit lets more deliveries come, a lower one fewer."""
        seam = Seam(bench, credit=2)
        seam.send(20)
        seam.wait(2)
        seam.subscription.set_credit(5)
        seam.wait(5)
        seam.assert_quiet()
        seam.subscription.set_credit(1)
        for delivery in seam.deliveries[:5]:
            delivery.accept()
        seam.wait(6)
        seam.assert_quiet()
        assert len(seam.deliveries) == 6

    def test_pause_and_resume(self, bench: Bench) -> None:
        """A paused subscription gets nothing that is sent afterwards; resumed, it gets all of it."""
        seam = Seam(bench)
        seam.subscription.pause()
        seam.assert_quiet(0.2)
        seam.send(5)
        seam.assert_quiet()
        seam.subscription.resume()
        seam.wait(5)

    def test_closing_stops_deliveries_but_not_settlements(self, bench: Bench) -> None:
        """After close() nothing more is handed over, and what was can still be accepted; the rest waits."""
        seam = Seam(bench, credit=3)
        seam.send(10)
        seam.wait(3)
        seam.subscription.close(10)
        held = list(seam.deliveries)
        assert all(delivery.alive for delivery in held)
        for delivery in held:
            delivery.accept()
        seam.assert_quiet()
        rest = seam.reopen()
        rest.wait(7)
        rest.assert_quiet()
        assert len(rest.deliveries) == 7

    def test_forward_reaches_one_queue_after_its_delay(self, bench: Bench) -> None:
        """A forwarded copy comes to one queue, after its delay, with the given headers and the same bytes; no more."""
        seam = Seam(bench)
        other = seam.another_listener()
        seam.send(body='{"number":1,"text":"é"}'.encode())
        [original] = seam.wait(1)
        delay = 0.6 if seam.provider.capabilities.delay else 0.0
        headers = {**original.read().wire_headers, EV_ATTEMPT: "2"}
        began = time.monotonic()
        original.forward(seam.subscription.queue, headers, delay=delay).result(10)
        assert original.alive
        copy = seam.wait(2)[1].read()
        assert time.monotonic() - began >= delay
        assert copy.body == original.read().body
        assert (copy.wire_headers, copy.attempt, copy.content_type) == (headers, 2, original.read().content_type)
        original.accept()
        seam.deliveries[1].accept()
        seam.assert_quiet(0.2)
        seam.reopen().assert_quiet(0.2)
        assert len(other.deliveries) == 1

    def test_forward_to_a_plain_queue_keeps_everything(self, bench: Bench) -> None:
        """A copy in the error queue has the original's bytes, whatever they are, and exactly the given headers."""
        seam = Seam(bench)
        self.needs("browse", seam.provider)
        bodies = [b"", b"\xff\x00\xfe", '{"text":"🐎"}'.encode(), b"x" * (1024 * 1024)]
        for body in bodies:
            seam.send(body=body, headers={"tenant": "a:b\nc"})
        given = []
        for delivery in seam.wait(len(bodies)):
            given.append({**delivery.read().wire_headers, "ev_error_reason": "exception", "ev_error_stack": "a\n b: c"})
            delivery.forward(seam.provider.error_queue, given[-1]).result(10)
            delivery.accept()
        found = list(seam.provider.browse(seam.provider.error_queue, timeout=10))
        assert [envelope.body for envelope in found] == bodies
        assert [envelope.wire_headers for envelope in found] == given

    def test_declaring_again_changes_nothing(self, bench: Bench) -> None:
        """A queue may be declared as often as one likes; what is in it stays."""
        seam = Seam(bench)
        seam.subscription.close(10)
        seam.send(3)
        for target in (seam.listener, seam.event, seam.provider.error_queue):
            seam.provider.declare(target, timeout=10)
        assert len(seam.reopen().wait(3)) == 3

    def test_a_provider_knows_whether_it_is_connected(self, bench: Bench) -> None:
        """``connected`` is true from start to stop, and ``on_state`` hears of it; a stopped provider starts again."""
        states: list[ProviderState] = []
        provider = bench.provider()
        for _ in range(2):
            assert not provider.connected
            provider.start(states.append, timeout=30)
            assert provider.connected
            provider.stop(timeout=10)
            provider.stop(timeout=10)
        assert not provider.connected
        assert states[0].connected

    def test_taking_from_a_queue(self, bench: Bench) -> None:
        """take() finds one message by its id and leaves the others; releasing it puts it back; browse() takes none."""
        seam = Seam(bench)
        seam.send(3)
        for delivery in seam.wait(3):
            delivery.forward(seam.provider.error_queue, delivery.read().wire_headers).result(10)
            delivery.accept()
        wanted = seam.deliveries[1].read().id
        queue = seam.provider.error_queue
        taken = seam.provider.take(queue, wanted, timeout=10)
        assert taken is not None
        assert taken.read().id == wanted
        taken.release()
        again = seam.provider.take(queue, wanted, timeout=10)
        assert again is not None
        again.accept()
        assert seam.provider.take(queue, "nobody has this id", timeout=2) is None
        if seam.provider.capabilities.browse:
            left = [envelope.id for envelope in seam.provider.browse(queue, timeout=10)]
            assert left == [seam.deliveries[0].read().id, seam.deliveries[2].read().id]


def _at_once(*calls: Callable[[], None]) -> None:
    """Run calls in threads that start together."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], None]) -> None:
        barrier.wait(10)
        call()

    threads = [threading.Thread(target=run, args=(call,), name=f"settle-{n}") for n, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
