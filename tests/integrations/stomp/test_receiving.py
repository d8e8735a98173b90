"""Subscriptions, credit and settlement, on every broker."""

from __future__ import annotations

import threading

import pytest

from aspyx_event.envelope import Envelope
from aspyx_event.provider import Delivery
from aspyx_event.providers.stomp import StompProvider
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_envelope, an_event
from tests.integrations.stomp.conftest import MakeProvider, only
from tests.integrations.stomp.support import fill, ids


def test_credit_bounds_what_is_unsettled(provider: StompProvider) -> None:
    """No more than ``credit`` deliveries are handed over and unsettled; each settlement makes room for one."""
    _, listener = fill(provider, 50)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=10, timeout=TIMEOUT)
    inbox.wait(10)
    assert inbox.stays_at(10)
    inbox.deliveries[0].accept()
    inbox.deliveries[1].accept()
    inbox.wait(12)
    assert inbox.stays_at(12)


def test_a_credit_of_one_goes_on(provider: StompProvider) -> None:
    """The smallest credit never starves: a queue is read to its end, one by one, in order."""
    _, listener = fill(provider, 20)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=1, timeout=TIMEOUT)
    for number in range(20):
        inbox.wait(number + 1)[number].accept()
    assert inbox.numbers == [f"id-{number}" for number in range(20)]


def test_credit_changes(provider: StompProvider) -> None:
    """A lower credit binds at once; a higher one lets as many more through, in order."""
    event, listener = fill(provider, 0)
    inbox = Inbox()
    subscription = provider.subscribe(listener, inbox, credit=10, timeout=TIMEOUT)
    subscription.set_credit(5)
    for confirmation in [provider.send(an_envelope(number), event) for number in range(100)]:
        confirmation.result(TIMEOUT)
    inbox.wait(5)
    assert inbox.stays_at(5)
    subscription.set_credit(60)
    inbox.wait(60)
    assert inbox.stays_at(60)
    assert inbox.numbers == [f"id-{number}" for number in range(60)]


def test_large_events_use_the_whole_credit(provider: StompProvider) -> None:
    """Flow control in bytes lets as many large events through as the credit says."""
    event, listener = fill(provider, 0)
    big = b'{"text":"' + b"x" * 200_000 + b'"}'
    for confirmation in [
        provider.send(Envelope(big, {"cloudEvents_id": f"id-{number}"}), event) for number in range(12)
    ]:
        confirmation.result(TIMEOUT)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=8, timeout=TIMEOUT)
    assert len(inbox.wait(8)[0].read().body) == len(big)
    assert inbox.stays_at(8)


def test_pause_and_resume(provider: StompProvider) -> None:
    """A paused subscription gets nothing new, whatever is settled meanwhile; after resume it goes on."""
    _, listener = fill(provider, 20)
    inbox = Inbox()
    subscription = provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
    deliveries = inbox.wait(5)
    subscription.pause()
    for delivery in deliveries:
        delivery.accept()
    assert inbox.stays_at(5)
    subscription.resume()
    inbox.wait(10)


def test_a_release_comes_back_unchanged(provider: StompProvider) -> None:
    """What is released on an open subscription comes back as it was, and nothing else is lost or handled twice."""
    _, listener = fill(provider, 6)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=3, timeout=TIMEOUT)
    first, second, third = inbox.wait(3)
    original = second.read()
    second.release()
    assert not second.alive
    second.accept()  # too late: the first settlement counts
    first.accept()
    third.accept()
    for delivery in inbox.wait(6)[3:]:
        delivery.accept()
    rest = inbox.wait(7)[3:]
    rest[-1].accept()
    assert sorted(ids(rest)) == ["id-1", "id-3", "id-4", "id-5"]
    again = next(delivery for delivery in rest if delivery.read().id == "id-1").read()
    assert (again.body, again.wire_headers, again.attempt) == (original.body, original.wire_headers, 1)
    assert inbox.stays_at(7)


def test_close_keeps_what_is_unsettled_alive(provider: StompProvider, request: pytest.FixtureRequest) -> None:
    """After close nothing arrives; what is here can be settled, and all else goes to the next reader, in order."""
    _, listener = fill(provider, 20)
    inbox = Inbox()
    subscription = provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
    deliveries = inbox.wait(5)
    subscription.close(TIMEOUT)
    assert [delivery.alive for delivery in deliveries] == [True] * 5
    deliveries[0].accept()
    for delivery in reversed(deliveries[2:]):
        delivery.release()
    deliveries[1].accept()
    subscription.channel.join(TIMEOUT)  # type: ignore[attr-defined]
    if "artemis" in request.node.name:  # it says goodbye first, too
        from tests.brokers.management import ArtemisManagement  # needs proton

        with ArtemisManagement(request.getfixturevalue("artemis")) as management:
            management.wait_for(
                provider.queue_name(listener).partition("::")[2],
                lambda queue: queue is not None and (queue.consumer_count, queue.delivering_count) == (0, 0),
                timeout=TIMEOUT,
            )
    other = Inbox()
    provider.subscribe(listener, other, credit=50, timeout=TIMEOUT)
    other.wait(18)
    expected = [f"id-{number}" for number in range(2, 20)]
    assert sorted(other.numbers) == sorted(expected)
    if "rabbitmq" not in request.node.name:  # it says goodbye before it has put everything back
        assert other.numbers == expected
    assert inbox.stays_at(5, 0.2)


def test_close_waits_for_a_callback(provider: StompProvider) -> None:
    """When close returns, on_delivery is not running any more."""
    event, listener = fill(provider, 0)
    entered, go_on = threading.Event(), threading.Event()
    calls: list[Delivery] = []

    def slow(delivery: Delivery) -> None:
        calls.append(delivery)
        entered.set()
        go_on.wait(TIMEOUT)

    subscription = provider.subscribe(listener, slow, credit=3, timeout=TIMEOUT)
    sent = [provider.send(an_envelope(number), event) for number in range(3)]
    assert entered.wait(TIMEOUT)
    for confirmation in sent:
        confirmation.result(TIMEOUT)
    closing = threading.Thread(target=subscription.close, args=(TIMEOUT,))
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    go_on.set()
    closing.join(TIMEOUT)
    assert not closing.is_alive()
    assert len(calls) == 1


def test_settling_from_many_threads(provider: StompProvider) -> None:
    """Deliveries that workers settle while others arrive are each handled once."""
    event, listener = fill(provider, 0)
    seen: list[str] = []
    done = threading.Event()
    work: list[Delivery] = []
    ready = threading.Semaphore(0)

    def worker() -> None:
        while True:
            ready.acquire()
            if done.is_set():
                return
            delivery = work.pop()
            delivery.accept()
            seen.append(delivery.read().id)
            if len(seen) == 2000:
                done.set()
                for _ in threads:
                    ready.release()

    def take(delivery: Delivery) -> None:
        work.append(delivery)
        ready.release()

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    provider.subscribe(listener, take, credit=40, timeout=TIMEOUT)
    sends = [provider.send(an_envelope(number), event) for number in range(2000)]
    for confirmation in sends:
        confirmation.result(30)
    assert done.wait(30), len(seen)
    for thread in threads:
        thread.join(TIMEOUT)
    assert sorted(seen) == sorted(f"id-{number}" for number in range(2000))


def test_competing_consumers(make_provider: MakeProvider) -> None:
    """Two processes share a listener's queue: each event goes to one of them, and both get some."""
    first, second = make_provider(), make_provider()
    event, listener = fill(first, 0)
    inboxes = [Inbox(), Inbox()]
    for provider, inbox in zip((first, second), inboxes):

        def take(delivery: Delivery, inbox: Inbox = inbox) -> None:
            inbox(delivery)
            delivery.accept()

        provider.subscribe(listener, take, credit=2, timeout=TIMEOUT)
    for confirmation in [first.send(an_envelope(number), event) for number in range(100)]:
        confirmation.result(TIMEOUT)
    deadline = threading.Event()
    while sum(len(inbox.deliveries) for inbox in inboxes) < 100 and not deadline.wait(0.02):
        pass
    assert sorted(inboxes[0].numbers + inboxes[1].numbers) == sorted(f"id-{number}" for number in range(100))
    assert all(inbox.deliveries for inbox in inboxes)


def test_every_listener_and_process_gets_its_own(make_provider: MakeProvider) -> None:
    """Two listeners each get every event; so does every process of a per_process listener."""
    first, second = make_provider(), make_provider()
    event = an_event(durable=False)
    once, each = a_listener(event), a_listener(event, per_process=True)
    inboxes = [Inbox() for _ in range(3)]
    first.subscribe(once, inboxes[0], credit=10, timeout=TIMEOUT)
    first.subscribe(each, inboxes[1], credit=10, timeout=TIMEOUT)
    second.subscribe(each, inboxes[2], credit=10, timeout=TIMEOUT)
    for number in range(3):
        first.send(an_envelope(number), event).result(TIMEOUT)
    for inbox in inboxes:
        inbox.wait(3)
        assert inbox.stays_at(3, 0.1)
        assert inbox.numbers == ["id-0", "id-1", "id-2"]


def test_giving_back_wears_nothing_out(provider: StompProvider) -> None:
    """An event that waits through many restarts of its listener stays in its place: giving back takes nothing away."""
    _, listener = fill(provider, 3)
    for _ in range(15):
        inbox = Inbox()
        subscription = provider.subscribe(listener, inbox, credit=10, timeout=TIMEOUT)
        inbox.wait(3)
        assert inbox.numbers == ["id-0", "id-1", "id-2"]
        subscription.close(TIMEOUT)
        for delivery in inbox.deliveries:
            delivery.release()
        subscription.channel.join(TIMEOUT)  # type: ignore[attr-defined]


@only("artemis")
def test_giving_back_to_a_queue_that_is_not_durable(make_provider: MakeProvider) -> None:
    """What the only consumer of a non-durable queue gives back, or leaves behind at its end, is there again."""
    provider = make_provider()
    event = an_event(durable=False)
    listener = a_listener(event)
    first, second = Inbox(), Inbox()
    provider.subscribe(listener, first, credit=5, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    first.wait(1)[0].release()
    first.wait(2)
    provider.send(an_envelope(2), event).result(TIMEOUT)
    first.wait(3)
    provider.stop(timeout=5)
    make_provider().subscribe(listener, second, credit=5, timeout=TIMEOUT)
    second.wait(2)
    assert set(second.numbers) == {"id-1", "id-2"}
