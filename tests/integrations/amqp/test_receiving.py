"""Subscriptions, credit and settlement."""

from __future__ import annotations

import threading

import pytest

from aspyx_event.events import EventDescriptor
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Delivery
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.providers.amqp.delivery import AMQPSubscription
from tests.brokers.management import ArtemisManagement
from tests.integrations.amqp.conftest import MakeProvider
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_envelope, an_event

pytestmark = pytest.mark.artemis


def fill(provider: AMQPProvider, count: int) -> tuple[EventDescriptor, EventListenerDescriptor]:
    event = an_event()
    listener = a_listener(event)
    provider.declare(listener, timeout=TIMEOUT)
    for confirmation in [provider.send(an_envelope(number), event) for number in range(count)]:
        confirmation.result(TIMEOUT)
    return event, listener


def test_credit_bounds_what_is_unsettled(provider: AMQPProvider) -> None:
    """No more than ``credit`` deliveries are handed over and unsettled; each settlement makes room for one."""
    _, listener = fill(provider, 50)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=10, timeout=TIMEOUT)
    inbox.wait(10)
    assert inbox.stays_at(10)
    inbox.deliveries[0].accept()
    inbox.deliveries[1].release()
    inbox.wait(12)
    assert inbox.stays_at(12)


def test_room_is_granted_while_credit_is_out(provider: AMQPProvider) -> None:
    """Two settlements in two bursts, before the broker used the credit of the first: both make room."""
    _, listener = fill(provider, 20)
    inbox = Inbox()
    subscription = provider.subscribe(listener, inbox, credit=10, timeout=TIMEOUT)
    inbox.wait(10)
    assert isinstance(subscription, AMQPSubscription)
    receiver = subscription.receiver
    assert receiver is not None

    def two_bursts() -> None:
        for token in list(receiver._link.deliveries)[:2]:
            receiver.settled(token, True)
            receiver.top_up()

    receiver.connection.post(two_bursts)
    inbox.wait(12)
    assert inbox.stays_at(12)


def test_a_credit_of_one_goes_on(provider: AMQPProvider) -> None:
    """The smallest credit never starves: a queue is read to its end, one by one."""
    _, listener = fill(provider, 20)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=1, timeout=TIMEOUT)
    for number in range(20):
        inbox.wait(number + 1)[number].accept()
    assert inbox.numbers == [f"id-{number}" for number in range(20)]


def test_less_credit_holds_at_once(provider: AMQPProvider) -> None:
    """Credit that was lowered binds from there on, also where the broker still had a part of the old one."""
    event, listener = fill(provider, 0)
    inbox = Inbox()
    subscription = provider.subscribe(listener, inbox, credit=50, timeout=TIMEOUT)
    subscription.set_credit(5)
    for confirmation in [provider.send(an_envelope(number), event) for number in range(30)]:
        confirmation.result(TIMEOUT)
    inbox.wait(5)
    assert inbox.stays_at(5)
    subscription.set_credit(20)
    inbox.wait(20)
    assert inbox.stays_at(20)


def test_pause_and_resume(provider: AMQPProvider) -> None:
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


def test_release_gives_back_without_counting(provider: AMQPProvider) -> None:
    """A released message comes again, in its place, with a delivery count of zero."""
    _, listener = fill(provider, 1)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
    inbox.wait(1)[0].release()
    again = inbox.wait(2)[1]
    assert again.read().id == "id-0"
    assert again.read().delivery_count == 0
    again.accept()


def test_only_the_first_settlement_counts(provider: AMQPProvider, artemis_management: ArtemisManagement) -> None:
    """Settling twice, from many threads at once, settles once."""
    _, listener = fill(provider, 1)
    inbox = Inbox()
    subscription = provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
    delivery = inbox.wait(1)[0]
    assert delivery.alive
    delivery.accept()
    threads = [threading.Thread(target=delivery.release) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not delivery.alive
    assert inbox.stays_at(1)
    name = subscription.queue.partition("::")[2]
    artemis_management.wait_for(name, lambda state: state is not None and state.message_count == 0)


def test_listeners_of_one_name_compete(make_provider: MakeProvider) -> None:
    """Two processes with one listener share its queue: each event goes to one of them."""
    first, second = make_provider(), make_provider()
    event, listener = fill(first, 0)
    inboxes = Inbox(), Inbox()
    first.subscribe(listener, inboxes[0], credit=5, timeout=TIMEOUT)
    second.subscribe(listener, inboxes[1], credit=5, timeout=TIMEOUT)
    for confirmation in [first.send(an_envelope(number), event) for number in range(10)]:
        confirmation.result(TIMEOUT)
    inboxes[0].wait(5)
    inboxes[1].wait(5)
    assert sorted(inboxes[0].numbers + inboxes[1].numbers) == sorted(f"id-{number}" for number in range(10))


def test_close_keeps_what_is_unsettled(provider: AMQPProvider, make_provider: MakeProvider) -> None:
    """After close nothing new arrives, nobody else gets what is unsettled, and it can still be settled."""
    _, listener = fill(provider, 10)
    inbox = Inbox()
    subscription = provider.subscribe(listener, inbox, credit=4, timeout=TIMEOUT)
    kept = inbox.wait(4)
    subscription.close(TIMEOUT)
    others = Inbox()
    make_provider().subscribe(listener, others, credit=20, timeout=TIMEOUT)
    others.wait(6)
    assert others.stays_at(6)
    assert all(delivery.alive for delivery in kept)
    kept[0].accept()
    kept[1].forward(subscription.queue, {"cloudEvents_id": "copy"}).result(TIMEOUT)
    kept[1].accept()
    for delivery in kept[2:]:
        delivery.release()
    others.wait(9)
    assert sorted(others.numbers[6:]) == ["copy", "id-2", "id-3"]
    assert inbox.stays_at(4, 0.1)


def test_close_while_events_pour_in(provider: AMQPProvider) -> None:
    """When close returns, on_delivery is not called any more, in the middle of a stream too; nothing is lost."""
    event, listener = fill(provider, 0)
    inbox = Inbox()
    subscription = provider.subscribe(listener, inbox, credit=100, timeout=TIMEOUT)
    sends = [provider.send(an_envelope(number), event) for number in range(2000)]
    for delivery in inbox.wait(10)[:10]:
        delivery.accept()
    subscription.close(TIMEOUT)
    count = len(inbox.deliveries)
    for confirmation in sends:
        confirmation.result(TIMEOUT)
    assert inbox.stays_at(count)
    for delivery in inbox.deliveries[10:]:
        delivery.release()
    rest = Inbox()
    provider.subscribe(listener, rest, credit=5000, timeout=TIMEOUT)
    rest.wait(1990)
    assert rest.stays_at(1990)
    assert set(inbox.numbers[:10]) | set(rest.numbers) == {f"id-{number}" for number in range(2000)}


def test_a_raising_consumer_loses_nothing(provider: AMQPProvider, caplog: pytest.LogCaptureFixture) -> None:
    """When on_delivery raises, the message goes back to the queue and the connection stays."""
    _, listener = fill(provider, 1)
    inbox = Inbox()
    calls: list[Delivery] = []

    def once_bad(delivery: Delivery) -> None:
        calls.append(delivery)
        if len(calls) == 1:
            raise ValueError("not today")
        inbox(delivery)

    provider.subscribe(listener, once_bad, credit=5, timeout=TIMEOUT)
    assert inbox.wait(1)[0].read().id == "id-0"
    assert "on_delivery raised" in caplog.text
