"""Headers and bodies."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from aspyx_event.envelope import CE_ID, EV_ATTEMPT, Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.providers.brokers.stomp_headers import by_name
from aspyx_event.providers.stomp import StompSettings, mapping
from aspyx_event.providers.stomp.dialects import dialect_for
from aspyx_event.providers.stomp.dialects.activemq import destination_of

KEYS = st.one_of(
    st.text(min_size=1, max_size=20),
    st.sampled_from(["priority", "id", "x-expires", "JMSType", "ev_header_priority", "ev_header_ev_header_x"]),
).filter(lambda key: "\0" not in key and not key.startswith("cloudEvents:") and key != "ev_expires")
VALUES = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"))
DURABLE = EventDescriptor("order.placed", dict, durable=True)
FLEETING = EventDescriptor("ping", dict)
SERVERS = {"artemis": "ActiveMQ-Artemis/2.40.0 x", "rabbitmq": "RabbitMQ/4.0.5", "activemq": "ActiveMQ/5.17.2"}
DIALECTS = {name: dialect_for(server, StompSettings()) for name, server in SERVERS.items()}


@given(st.dictionaries(KEYS, VALUES))
def test_headers_come_back(headers: dict[str, str]) -> None:
    """Any header comes out as it went in, also under a name that means something to STOMP."""
    encoded = mapping.encode_headers(headers)
    assert dict(mapping.decode_headers(encoded)) == headers
    assert not any(mapping.transport_header(key) for key in encoded)


def test_names_are_remembered_within_limits() -> None:
    """What others send does not fill the memory: neither long names nor many of them are kept, and all are judged."""
    asked: list[str] = []

    def judge(key: str) -> int:
        asked.append(key)
        return len(key)

    judged = by_name(judge)
    assert [judged("a"), judged("a"), judged("x" * 1000), judged("x" * 1000)] == [1, 1, 1000, 1000]
    assert asked == ["a", "x" * 1000, "x" * 1000]
    assert all(judged(f"name{number}") == len(f"name{number}") for number in range(10_000))
    remembered = judged.__self__  # type: ignore[attr-defined]
    assert len(remembered) <= 1024
    assert judged("a") == 1


def test_transport_headers_are_not_the_senders() -> None:
    """What brokers add or hand on is left out; CloudEvents with a colon are read too."""
    transport = (
        "subscription content-length message-id destination expires redelivered priority persistent timestamp ack "
        "destination-type receipt _AMQ_SCHED_DELIVERY JMSXDeliveryCount NATIVE_MESSAGE_ID x-first-death-queue "
        "x-delivery-count AMQ_SCHEDULED_DELAY"
    )
    own = {"cloudEvents:id": "7", "x-request-id": "mine", "tenant": "t", "ev_header_priority": "high"}
    frame = {**dict.fromkeys(transport.split(), "1"), **own}
    assert dict(mapping.decode_headers(frame)) == {
        CE_ID: "7",
        "x-request-id": "mine",
        "tenant": "t",
        "priority": "high",
    }


@given(st.binary(max_size=50))
def test_the_length_is_left_out_for_text_only(body: bytes) -> None:
    """A body without a length is text that a broker can hold as such; all else keeps it."""
    headers = mapping.content_headers("application/json", body, text=True)
    if "content-length" in headers:
        assert headers["content-length"] == str(len(body))
        assert b"\0" in body or body.decode("utf-8", "replace").encode() != body
    else:
        assert body.decode("utf-8").encode() == body
    assert mapping.content_headers(None, body, text=False) == {"content-length": str(len(body))}


def test_publications() -> None:
    """Each broker's way to send an event: destination, persistence, expiry, delay."""
    envelope = Envelope(b"{}", {CE_ID: "1"}, ttl=60, delay=2.5)
    artemis = DIALECTS["artemis"].publication(envelope, DURABLE)
    assert artemis.destination == "order.placed"
    assert artemis.headers["destination-type"] == "MULTICAST"
    assert artemis.headers["AMQ_SCHEDULED_DELAY"] == "2500"
    classic = DIALECTS["activemq"].publication(envelope, DURABLE)
    assert classic.destination == "/topic/VirtualTopic.order.placed"
    rabbit = DIALECTS["rabbitmq"].publication(envelope, DURABLE)
    assert rabbit.destination.startswith("/queue/order.placed.delay.2700.")
    assert rabbit.headers["x-dead-letter-exchange"] == "amq.topic"
    for found in (artemis, classic, rabbit):
        assert found.headers["persistent"] == "true"
        assert found.headers[CE_ID] == "1"
        assert found.event_id == "1"
    for name, found in (("expires", artemis), ("expires", classic), (mapping.EXPIRES, rabbit)):
        assert abs(int(found.headers[name]) / 1000 - time.time() - 60) < 5
    plain = Envelope(b"{}", {CE_ID: "1"})
    for dialect in DIALECTS.values():
        assert "persistent" not in dialect.publication(plain, FLEETING).headers
    assert DIALECTS["rabbitmq"].publication(plain, FLEETING).destination == "/topic/ping"


def test_copies() -> None:
    """A copy has exactly the headers it is given; one to a plain queue is persistent and never expires."""
    frame = {"expires": "99999999999999", "ev_expires": "99999999999999", "content-type": "text/plain", "tenant": "t"}
    wanted = {CE_ID: "1", EV_ATTEMPT: "2"}
    for dialect in DIALECTS.values():
        dead = dialect.copy(frame, b"\0", "error", wanted, delay=0)
        assert dead.headers["persistent"] == "true"
        assert "expires" not in dead.headers
        assert mapping.EXPIRES not in dead.headers
        retry = dialect.copy(frame, b"\0", "e::l", wanted, delay=1)
        assert "persistent" not in retry.headers
        assert retry.headers.get("expires") or retry.headers.get(mapping.EXPIRES)
        for found in (dead, retry):
            assert dict(mapping.decode_headers(found.headers)) == wanted
            assert (found.headers["content-type"], found.headers["content-length"]) == ("text/plain", "1")


@given(st.from_regex(r"[A-Za-z0-9_.-]{1,8}", fullmatch=True), st.from_regex(r"[A-Za-z0-9_.-]{1,8}", fullmatch=True))
def test_classic_names_stay_different(one: str, other: str) -> None:
    """Two listeners never get one queue, and the listener's part has no dot."""
    first, second = destination_of(f"e::{one}"), destination_of(f"e::{other}")
    assert (first == second) == (one == other)
    assert first.startswith("/queue/Consumer.")
    assert first.endswith(".VirtualTopic.e")
    assert "." not in first[len("/queue/Consumer.") : -len(".VirtualTopic.e")]


def test_native_ids() -> None:
    """A foreign message has the id of its sender, or one that stays the same from delivery to delivery."""
    artemis, rabbit = DIALECTS["artemis"], DIALECTS["rabbitmq"]
    assert artemis.read({"message-id": "27,33"}, b"{}").id == artemis.read({"message-id": "99,33"}, b"{}").id == "33"
    assert artemis.read({"message-id": "27,33", "NATIVE_MESSAGE_ID": "a"}, b"{}").id == "a"
    assert rabbit.read({"message-id": "T_1@@s@@1", "amqp-message-id": "a"}, b"{}").id == "a"
    assert rabbit.read({"message-id": "T_1@@s@@1", "x-delivery-count": "3"}, b"{}").delivery_count == 3


def test_long_stacks_are_cut_for_classic() -> None:
    """Classic takes 10 KiB in a header line, escapes included: the end of the stack is what is kept."""
    for text in ("a" * 16_000, "ü\n" * 8000, ":" * 16_000, "short"):
        copy = DIALECTS["activemq"].copy({}, b"{}", "error", {"ev_error_stack": text}, delay=0)
        kept = copy.headers["ev_error_stack"]
        assert text.endswith(kept)
        line = len(kept.encode()) + sum(kept.count(character) for character in "\\\n\r:")
        assert line <= 10_200
        assert line > 9_000 or kept == text
