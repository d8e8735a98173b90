"""Confirmed sends."""

from __future__ import annotations

from concurrent.futures import CancelledError

import pytest

from aspyx_event.exceptions import ProviderError, ProviderUnavailable
from aspyx_event.providers.amqp import AMQPProvider
from tests.brokers.artemis import ArtemisBroker
from tests.brokers.management import ArtemisManagement
from tests.integrations.amqp.conftest import MakeProvider
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_envelope, an_event

pytestmark = pytest.mark.artemis


def test_a_confirmed_event_is_in_the_queue(provider: AMQPProvider, artemis_management: ArtemisManagement) -> None:
    """When the confirmation is done, the broker has the event in every listener's queue."""
    event = an_event()
    first, second = a_listener(event), a_listener(event)
    provider.declare(first, timeout=TIMEOUT)
    provider.declare(second, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    for listener in (first, second):
        state = artemis_management.queue(provider.queue_name(listener).partition("::")[2])
        assert state is not None
        assert state.message_count == 1


def test_nobody_listening_is_no_error(provider: AMQPProvider) -> None:
    """Sending an event that nobody listens to is confirmed."""
    provider.send(an_envelope(), an_event()).result(TIMEOUT)


def test_order_is_kept(provider: AMQPProvider) -> None:
    """A thousand events arrive in the order in which they were sent."""
    event = an_event()
    inbox = Inbox()
    subscription = provider.subscribe(a_listener(event), inbox, credit=2000, timeout=TIMEOUT)
    sends = [provider.send(an_envelope(number), event) for number in range(1000)]
    for confirmation in sends:
        confirmation.result(TIMEOUT)
    deliveries = inbox.wait(1000)
    assert inbox.numbers == [f"id-{number}" for number in range(1000)]
    for delivery in deliveries:
        delivery.accept()
    subscription.close(TIMEOUT)


def test_a_big_message_survives(provider: AMQPProvider) -> None:
    """A body of 5 MB, many frames long, arrives unchanged, and forwards unchanged."""
    event = an_event()
    inbox = Inbox()
    subscription = provider.subscribe(a_listener(event), inbox, credit=2, timeout=TIMEOUT)
    envelope = an_envelope(1)
    envelope.body = bytes(range(256)) * 20_000
    provider.send(envelope, event).result(30)
    delivery = inbox.wait(1, 30)[0]
    assert delivery.read().body == envelope.body
    delivery.forward(subscription.queue, delivery.read().wire_headers).result(30)
    delivery.accept()
    copy = inbox.wait(2, 30)[1]
    assert copy.read().body == envelope.body
    copy.accept()


def test_a_refusal_fails_all_that_waits(make_provider: MakeProvider, artemis: ArtemisBroker) -> None:
    """Sending to an address that the user may not write fails with the broker's words and the event's id, each time."""
    provider = make_provider(user=artemis.worker_user, password=artemis.worker_password)
    forbidden = an_event(name="activemq.management")
    for number in (1, 2):
        with pytest.raises(ProviderError) as refused:
            provider.send(an_envelope(number), forbidden).result(TIMEOUT)
        assert refused.value.event_id == f"id-{number}"
        assert "activemq.management" in str(refused.value)
    provider.send(an_envelope(3), an_event()).result(TIMEOUT)


def test_a_cancelled_event_is_not_written(make_provider: MakeProvider, artemis: ArtemisBroker) -> None:
    """An event whose waiter gave up during an outage is not written after it; the others are."""
    provider = make_provider()
    event = an_event()
    listener = a_listener(event)
    provider.declare(listener, timeout=TIMEOUT)
    artemis.stop()
    sends = [provider.send(an_envelope(number), event) for number in range(3)]
    assert sends[1].cancel()
    artemis.start()
    for number in (0, 2):
        sends[number].result(60)
    with pytest.raises(CancelledError):
        sends[1].result(0)
    inbox = Inbox()
    subscription = provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
    inbox.wait(2)
    assert inbox.stays_at(2)
    assert inbox.numbers == ["id-0", "id-2"]
    subscription.close(TIMEOUT)


def test_stop_fails_what_waits(make_provider: MakeProvider, artemis: ArtemisBroker) -> None:
    """Confirmations that are open when the provider stops fail with ProviderUnavailable; so do later sends."""
    provider = make_provider()
    event = an_event()
    artemis.stop()
    try:
        waiting = provider.send(an_envelope(1), event)
        provider.stop(timeout=5)
        with pytest.raises(ProviderUnavailable) as failed:
            waiting.result(0)
        assert failed.value.event_id == "id-1"
        with pytest.raises(ProviderUnavailable):
            provider.send(an_envelope(2), event).result(0)
    finally:
        artemis.start()


def test_many_addresses(provider: AMQPProvider) -> None:
    """More addresses than there may be links are served, and served again."""
    events = [an_event() for _ in range(80)]
    for _ in range(2):
        for confirmation in [provider.send(an_envelope(), event) for event in events]:
            confirmation.result(TIMEOUT)


def test_an_expired_event_is_not_delivered(provider: AMQPProvider) -> None:
    """An event with a time to live carries the moment when it ends, and the broker drops it then."""
    event = an_event()
    listener = a_listener(event)
    provider.declare(listener, timeout=TIMEOUT)
    short, long = an_envelope(1), an_envelope(2)
    short.ttl, long.ttl = 0.3, 600
    provider.send(short, event).result(TIMEOUT)
    provider.send(long, event).result(TIMEOUT)
    pause = Inbox()
    pause.stays_at(0, 0.5)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
    envelope = inbox.wait(1)[0].read()
    assert inbox.stays_at(1)
    assert envelope.id == "id-2"
    assert envelope.expires_at is not None
    assert not envelope.expired


def test_a_delayed_event_comes_later(provider: AMQPProvider) -> None:
    """An event that was sent with a delay is delivered after it."""
    event = an_event()
    inbox = Inbox()
    provider.subscribe(a_listener(event), inbox, credit=5, timeout=TIMEOUT)
    late = an_envelope(1)
    late.delay = 0.5
    provider.send(late, event).result(TIMEOUT)
    provider.send(an_envelope(2), event).result(TIMEOUT)
    inbox.wait(2)
    assert inbox.numbers == ["id-2", "id-1"]
