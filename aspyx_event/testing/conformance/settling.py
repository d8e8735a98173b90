"""The seam itself: deliveries, settlements, credit."""

from __future__ import annotations

import threading
import time

from aspyx_event.envelope import EV_ATTEMPT
from aspyx_event.testing.conformance.bench import Bench, Seam, Suite


class SettlingTests(Suite):
    """What a provider's deliveries and subscriptions promise."""

    def test_released_comes_back_unchanged(self, bench: Bench) -> None:
        """A released delivery comes again with the same body and headers, attempt included."""
        seam = Seam(bench)
        seam.send(body=b'{"number":5}', headers={EV_ATTEMPT: "3", "tenant": "t"})
        [first] = seam.wait(1)
        before = first.read()
        first.release()
        after = seam.wait(2)[1].read()
        assert (after.body, after.wire_headers) == (before.body, before.wire_headers)
        assert (after.attempt, after.delivery_count) == (3, 0)

    def test_accepted_does_not_come_back(self, bench: Bench) -> None:
        """An accepted delivery is gone, also for the next subscription."""
        seam = Seam(bench)
        seam.send()
        seam.wait(1)[0].accept()
        seam.subscription.close(10)
        seam.provider.subscribe(seam.listener, seam._receive, credit=10, timeout=10)
        seam.assert_quiet()

    def test_settling_twice_is_harmless(self, bench: Bench) -> None:
        """Of several settlements, from several threads, the first counts, and the message is not lost or doubled."""
        seam = Seam(bench)
        seam.send(20)
        for delivery in seam.wait(20)[:10]:
            both = [threading.Thread(target=delivery.accept, name=f"accept-{n}") for n in range(2)]
            for thread in both:
                thread.start()
            for thread in both:
                thread.join()
        for delivery in seam.wait(20)[10:]:
            delivery.accept()
            delivery.release()
            assert not delivery.alive
        seam.assert_quiet()

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
        seam.provider.subscribe(seam.listener, seam._receive, credit=100, timeout=10)
        seam.wait(10)
        seam.assert_quiet()
        assert len(seam.deliveries) == 10

    def test_forward_reaches_one_queue_after_its_delay(self, bench: Bench) -> None:
        """A forwarded copy has exactly the given headers and the same bytes, after its delay, and settles nothing."""
        seam = Seam(bench)
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
        assert (copy.wire_headers, copy.attempt) == (headers, 2)
        original.accept()
        seam.assert_quiet(0.2)

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
