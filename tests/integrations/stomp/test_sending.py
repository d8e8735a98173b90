"""Sending: confirmations, what is refused, times, and what arrives on every broker byte by byte."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aspyx_event.envelope import Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import AttachRefused, SendRejected
from aspyx_event.providers.stomp import StompProvider
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_envelope, an_event
from tests.integrations.stomp.conftest import MakeProvider, only

KEYS = st.one_of(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True).filter(
        lambda key: not key.startswith(("ev_", "cloudEvents_"))
    ),
    st.sampled_from(["priority", "id", "ack", "expires", "receipt", "destination", "type", "x-expires", "JMSType"]),
)
VALUES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=60)
BODIES = st.one_of(st.binary(max_size=300), st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")))


def test_everything_arrives_as_it_was_sent(provider: StompProvider) -> None:
    """Headers with any value, bodies with any bytes, and names that mean something to STOMP survive every broker."""
    event = an_event()
    inbox = Inbox()
    provider.subscribe(a_listener(event), inbox, credit=500, timeout=TIMEOUT)

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(
        st.dictionaries(KEYS, VALUES, max_size=5), BODIES, st.sampled_from(["application/json", "text/x+json", None])
    )
    def check(user: dict[str, str], body: bytes, content_type: str | None) -> None:
        count = len(inbox.deliveries)
        headers = {"cloudEvents_id": f"id-{count}", "cloudEvents_type": event.name, **user}
        provider.send(Envelope(body, headers, content_type=content_type), event).result(TIMEOUT)
        delivery = inbox.wait(count + 1)[count]
        envelope = delivery.read()
        delivery.accept()
        assert envelope.body == body
        assert envelope.wire_headers == headers
        assert envelope.content_type == content_type
        assert envelope.unreadable is None

    check()


def test_many_confirmations_in_order(provider: StompProvider) -> None:
    """A thousand pipelined events are confirmed and arrive in order."""
    event = an_event()
    inbox = Inbox()
    provider.subscribe(a_listener(event), inbox, credit=1500, timeout=TIMEOUT)
    for confirmation in [provider.send(an_envelope(number), event) for number in range(1000)]:
        assert confirmation.result(30) is None
    assert [delivery.read().id for delivery in inbox.wait(1000, 30)] == [f"id-{number}" for number in range(1000)]


def test_an_event_without_a_listener_is_confirmed(provider: StompProvider) -> None:
    """No listener anywhere is not an error."""
    provider.send(an_envelope(), an_event()).result(TIMEOUT)


def test_delay_and_time_to_live(provider: StompProvider) -> None:
    """A delayed event comes later, not earlier; an expired one does not come, or says that it is."""
    event = an_event()
    inbox = Inbox()
    listener = a_listener(event)
    subscription = provider.subscribe(listener, inbox, credit=10, timeout=TIMEOUT)
    began = time.time()
    late_one = provider.send(Envelope(b"{}", {"cloudEvents_id": "late"}, delay=1.0), event)
    provider.send(Envelope(b"{}", {"cloudEvents_id": "mortal"}, ttl=60.0), event).result(TIMEOUT)
    mortal, late = inbox.wait(2)
    assert time.time() - began >= 0.99
    late_one.result(TIMEOUT)
    assert [mortal.read().id, late.read().id] == ["mortal", "late"]
    assert late.read().expires_at is None
    expires_at = mortal.read().expires_at
    assert expires_at is not None
    assert 50 < expires_at - time.time() <= 60
    mortal.accept()
    late.accept()
    subscription.close(TIMEOUT)
    provider.send(Envelope(b"{}", {"cloudEvents_id": "dead"}, ttl=0.2), event).result(TIMEOUT)
    assert inbox.stays_at(2, 0.6)
    provider.subscribe(listener, inbox, credit=10, timeout=TIMEOUT)
    provider.send(an_envelope(5), event).result(TIMEOUT)
    arrived = [delivery.read() for delivery in inbox.wait(3)[2:]]
    assert arrived[-1].id == "id-5"
    assert all(envelope.expired for envelope in arrived[:-1])


@only("artemis")
def test_a_refused_send(make_provider: MakeProvider) -> None:
    """What the user may not send is refused, with the event's id; what comes after it is confirmed.

    Artemis ends the connection, and says of frames that were on their way that it "is not valid": no refusal of theirs.
    """
    provider = make_provider(user="worker", password="worker-s3cret")
    forbidden = EventDescriptor("activemq.management", an_event().type, durable=True)
    before = provider.send(an_envelope(1), an_event())
    refused = provider.send(an_envelope(2), forbidden)
    event = an_event()
    after = [provider.send(an_envelope(number), event) for number in range(3, 103)]
    error = refused.exception(TIMEOUT)
    assert isinstance(error, SendRejected)
    assert error.event_id == "id-2"
    for confirmation in (before, *after):
        confirmation.result(TIMEOUT)


@only("rabbitmq")
def test_what_a_user_may_not_read(make_provider: MakeProvider, broker) -> None:  # type: ignore[no-untyped-def]
    """A queue that this user may not configure or read is an AttachRefused that names it."""
    add_reader(broker)
    provider = make_provider(user="reader", password="reader-s3cret")
    listener = a_listener(an_event())
    with pytest.raises(AttachRefused, match=listener.name) as refused:
        provider.subscribe(listener, Inbox(), credit=1, timeout=TIMEOUT)
    assert refused.value.queue == provider.queue_name(listener)


def add_reader(broker) -> None:  # type: ignore[no-untyped-def]
    """A user who may write and read, and configure only what serves our probes."""
    from tests.integrations.stomp.rabbit import api

    api(broker, "PUT", "/users/reader", {"password": "reader-s3cret", "tags": ""})
    rights = {"configure": "^stomp-subscription.*", "write": ".*", "read": ".*"}
    api(broker, "PUT", "/permissions/%2F/reader", rights)
