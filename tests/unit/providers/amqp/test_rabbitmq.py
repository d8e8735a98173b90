"""What the RabbitMQ dialect makes of versions, addresses, outcomes and headers, without a broker."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("proton")

import proton

from aspyx_event.envelope import Envelope
from aspyx_event.exceptions import ConfigurationError, SendRejected
from aspyx_event.providers.amqp import mapping
from aspyx_event.providers.amqp.dialects import Dialect, dialect_for
from aspyx_event.providers.amqp.nodes import Condition, Node, Outcome, State
from aspyx_event.providers.amqp.settings import AMQPSettings
from aspyx_event.providers.brokers.stomp_headers import transport_header
from tests.integrations.amqp.support import an_event

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True) | st.sampled_from(
    ["ack", "id", "priority", "content-length", "x-death", "x-delivery-count", "JMSType", "destination"]
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@pytest.fixture
def dialect() -> Dialect:
    return dialect_for("RabbitMQ", "4.0.5", AMQPSettings())


def received(data: bytes, **annotations: Any) -> Envelope:
    """The envelope of a message as RabbitMQ would hand it over: with annotations of its own."""
    message = proton.Message()
    message.decode(data)
    own = {
        "x-exchange": "e",
        "x-routing-key": "e",
        **{key.replace("_", "-"): value for key, value in annotations.items()},
    }
    message.annotations = {proton.symbol(key): value for key, value in own.items()}
    return mapping.decode(bytes(message.encode()), received_at=time.time())


@pytest.mark.parametrize("version", ["3.10.8", "3.13.0", "2.8"])
def test_old_versions_are_refused(version: str) -> None:
    """RabbitMQ 3 cannot bind queues over AMQP 1.0: the error names the version and the way out."""
    for settings in (AMQPSettings(), AMQPSettings(broker="rabbitmq")):
        with pytest.raises(ConfigurationError, match=rf"RabbitMQ {version}.*StompProvider"):
            dialect_for("RabbitMQ", version, settings)


@pytest.mark.parametrize("version", ["4.0.5", "4.1.0", "5.0", "30.0", ""])
def test_newer_versions_are_taken(version: str) -> None:
    """Version 4 and newer, and one that says nothing of its version."""
    assert dialect_for("RabbitMQ", version, AMQPSettings()).name == "rabbitmq"
    assert dialect_for("something", version, AMQPSettings(broker="rabbitmq")).name == "rabbitmq"


def test_addresses_are_encoded(dialect: Dialect) -> None:
    """The colons of a queue's name are no part of the address's syntax."""
    assert dialect.queue_target("order.placed::billing").address == "/queues/order.placed%3A%3Abilling"
    assert dialect.source("order.placed::billing").address == "/queues/order.placed%3A%3Abilling"
    assert dialect.event_target("order.placed").address == "/exchanges/order.placed/order.placed"


def test_outcomes(dialect: Dialect) -> None:
    """Released: nobody listens, which is fine for an event; for a copy its queue is gone, which is not."""
    event, queue = dialect.event_target("e"), dialect.queue_target("e::l")
    assert dialect.judge(event, Outcome(State.ACCEPTED)) is None
    assert dialect.judge(event, Outcome(State.RELEASED)) is None
    assert dialect.judge(queue, Outcome(State.ACCEPTED)) is None
    for node, outcome in (
        (queue, Outcome(State.RELEASED)),
        (Node("/queues/e.delay.1000.1"), Outcome(State.RELEASED)),
        (event, Outcome(State.MODIFIED)),
        (queue, Outcome(State.UNKNOWN)),
        (event, Outcome(State.REJECTED, Condition("amqp:resource-limit-exceeded", "too long"))),
    ):
        error = dialect.judge(node, outcome)
        assert isinstance(error, SendRejected)
        assert str(node) in str(error)
    assert "too long" in str(error)


@given(headers=st.dictionaries(names, texts, max_size=12), ttl=st.none() | st.floats(1, 1e6))
def test_headers_survive_and_disturb_no_frame(headers: dict[str, str], ttl: float | None) -> None:
    """Every header comes back as it was, and none has a name on the wire that means something to STOMP."""
    data = mapping.encode(Envelope(b"{}", headers, ttl=ttl), subject="e", durable=True, rabbitmq=True)
    message = proton.Message()
    message.decode(data)
    assert not any(transport_header(key) for key in message.properties or {})
    for sent in (data, mapping.copy(data, headers, durable=None, keep_expiry=True, delay=0, rabbitmq=True)):
        assert received(sent).wire_headers == Envelope(b"{}", headers).wire_headers


@pytest.mark.parametrize("rabbitmq", [True, False])
def test_delay_and_time_to_live(rabbitmq: bool) -> None:
    """Where queues make delays, a message that waits has no delay, and for ttl a little more than its queue allows."""
    envelope = Envelope(b"{}", {}, ttl=100.0, delay=5.0)
    data = mapping.encode(envelope, subject="e", durable=True, rabbitmq=rabbitmq)
    copy = mapping.copy(data, {}, durable=None, keep_expiry=True, delay=5.0, rabbitmq=rabbitmq)
    for sent in (data, copy):
        message = proton.Message()
        message.decode(sent)
        assert round(message.ttl, 1) == 10.6 if rabbitmq else 90 < message.ttl <= 100
        assert bool(message.annotations) is not rabbitmq
        expires_at = mapping.decode(sent, received_at=0).expires_at
        assert expires_at is not None
        assert 90 < expires_at - time.time() <= 100
    at_once = mapping.encode(Envelope(b"{}", {}, ttl=100.0), subject="e", durable=True, rabbitmq=rabbitmq)
    message.decode(at_once)
    assert message.ttl == 100.0


def test_what_a_stomp_sender_left() -> None:
    """Headers of the SEND frame are dropped, x-headers come out of the annotations, the expiry out of a header."""
    properties = {
        "content-length": "2",
        "receipt": "r",
        "ev_header_receipt": "mine",
        "ev_expires": "5000",
        "tenant": "t",
    }
    data = bytes(proton.Message(body=b"{}", inferred=True, properties=properties).encode())
    found = received(data, x_request_id="17", x_delivery_count=3, x_basic_priority="1")
    assert found.headers == {"receipt": "mine", "tenant": "t", "x-request-id": "17"}
    assert found.expires_at == 5.0


def test_what_the_broker_took_away() -> None:
    """A message at its delivery limit says so, unless it was a dead letter before."""
    data = bytes(proton.Message(body=b"{}", inferred=True).encode())
    deaths = {"x_last_death_reason": "delivery_limit", "x_last_death_queue": "e::l"}
    found = received(data, **deaths).wire_headers
    assert (found["ev_error_reason"], found["ev_error_queue"]) == ("crashed", "e::l")
    assert "ev_error_reason" not in received(data, **{**deaths, "x_last_death_reason": "expired"}).wire_headers


def test_acquisitions() -> None:
    """How often a message was taken is read from the annotations; what is no message has no count."""
    message = proton.Message(body=b"{}", annotations={proton.symbol("x-delivery-count"): 12})
    assert mapping.acquisitions(bytes(message.encode())) == 12
    assert mapping.acquisitions(bytes(proton.Message(body=b"{}").encode())) == 0
    assert mapping.acquisitions(b"nonsense") == 0
    assert mapping.persistent(b"nonsense")
    assert not mapping.persistent(bytes(proton.Message(body=b"{}", durable=False).encode()))


def test_a_delayed_copy_waits_in_a_queue_that_is_declared_first(dialect: Dialect) -> None:
    """The message for a delay goes to another queue, whose declaration it needs."""
    event = an_event(name="e")
    at_once = dialect.publication(Envelope(b"{}", {}), event)
    later = dialect.publication(Envelope(b"{}", {}, delay=1.0), event)
    assert at_once.node.need is not None
    assert not at_once.node.need.required
    assert later.node.need is not None
    assert later.node.need.required
    [request] = later.node.need.requests
    assert (request.method, request.path) == ("PUT", later.node.address)
    copy = dialect.copy(at_once.data, "e::l", {}, delay=1.0)
    assert "/queues/e%3A%3Al.retry." in str(copy.node)
    assert dialect.copy(at_once.data, "e::l", {}, delay=0).node.need is None
