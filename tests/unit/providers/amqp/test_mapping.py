"""Messages in bytes, checked against proton's own encoder and decoder."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

proton = pytest.importorskip("proton")

from aspyx_event.envelope import Envelope  # noqa: E402 - after the check
from aspyx_event.providers.amqp import mapping, wire  # noqa: E402 - after the check
from aspyx_event.providers.amqp import sections as s  # noqa: E402 - after the check

# Proton hands strings to C as they are: a NUL would end nothing, a lone surrogate cannot be encoded.
texts = st.text(st.characters(codec="utf-8"), max_size=300)
keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True).filter(
    lambda key: not key.startswith(mapping._TRANSPORT_PREFIXES)
)
headers = st.dictionaries(keys, texts, max_size=12)


def proton_message(data: bytes) -> Any:
    message = proton.Message()
    message.decode(data)
    return message


def from_proton(**fields: Any) -> Envelope:
    return mapping.decode(bytes(proton.Message(**fields).encode()), received_at=time.time())


@given(headers=headers, body=st.binary(max_size=70_000), durable=st.booleans(), ttl=st.none() | st.floats(0.001, 1e6))
def test_proton_reads_what_is_sent(headers: dict[str, str], body: bytes, durable: bool, ttl: float | None) -> None:
    """Proton decodes an event that we encoded: one Data section, every header, and the courtesies to other clients."""
    envelope = Envelope(body, {"cloudEvents_id": "the-id", "cloudEvents_correlationid": "c", **headers}, ttl=ttl)
    message = proton_message(mapping.encode(envelope, subject="order", durable=durable))
    assert bytes(message.body) == body
    assert message.inferred
    assert message.properties == envelope.wire_headers
    assert (message.id, message.subject, message.correlation_id) == ("the-id", "order", "c")
    assert (message.content_type, message.durable) == ("application/json", durable)
    assert message.creation_time == pytest.approx(time.time(), abs=60)
    assert message.ttl == (0 if ttl is None else pytest.approx(min(ttl, 2**32 / 1000), abs=0.001))
    assert not message.annotations


@given(headers=headers, body=st.binary(max_size=2000))
def test_it_comes_back(headers: dict[str, str], body: bytes) -> None:
    """What was sent is what is received."""
    sent = Envelope(body, {"cloudEvents_id": "the-id", **headers}, ttl=60)
    received = mapping.decode(mapping.encode(sent, subject="e", durable=True), received_at=0)
    assert (received.body, received.wire_headers, received.id) == (body, sent.wire_headers, "the-id")
    assert (received.content_type, received.native_id, received.unreadable) == ("application/json", "the-id", None)
    assert received.expires_at == pytest.approx(time.time() + 60, abs=30)
    assert received.delivery_count == 0


def test_a_delay_is_an_annotation() -> None:
    """A delay travels in milliseconds, as Artemis wants it."""
    message = proton_message(mapping.encode(Envelope(b"", {}, delay=1.5), subject="e", durable=False))
    assert message.annotations == {"x-opt-delivery-delay": 1500}


@given(
    properties=st.dictionaries(
        keys,
        st.one_of(
            texts,
            st.booleans(),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(0, 2**32 - 1).map(proton.uint),
            st.integers(-100, 100).map(proton.byte),
            st.none(),
            st.binary(max_size=20),
            st.uuids(),
        ),
        max_size=8,
    ),
    id=st.one_of(st.none(), texts.filter(bool), st.integers(1, 2**63).map(proton.ulong), st.uuids()),
    count=st.integers(0, 50),
)
def test_foreign_properties(properties: dict[str, Any], id: Any, count: int) -> None:
    """Strings stay, numbers and booleans become their text, what has no text is ignored; ids of all types are known."""
    envelope = from_proton(body=b"{}", inferred=True, properties=properties, id=id, delivery_count=count)
    expected = {key: _text(value) for key, value in properties.items() if isinstance(value, (str, int, uuid.UUID))}
    assert envelope.wire_headers == expected
    assert envelope.native_id == (None if id is None else _text(id))
    assert envelope.delivery_count == count


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, int) else str(value)


@pytest.mark.parametrize(
    ("body", "inferred", "expected"),
    [
        (b"\x00\xff", True, b"\x00\xff"),
        (b"\x00\xff", False, b"\x00\xff"),
        ("ä" * 200, False, ("ä" * 200).encode()),
        ("", False, b""),
    ],
)
def test_bodies_that_can_be_read(body: Any, inferred: bool, expected: bytes) -> None:
    """Data, an AmqpValue of a binary and one of a string are bytes alike."""
    envelope = from_proton(body=body, inferred=inferred)
    assert (envelope.body, envelope.unreadable) == (expected, None)


@pytest.mark.parametrize(
    ("body", "inferred", "word"),
    [
        ({"a": 1}, False, "map"),
        ([1, 2], False, "a list"),
        ([], False, "a list"),
        ([1, 2], True, "sequence"),
        (7, False, "integer"),
        (True, False, "boolean"),
        (1.5, False, "float"),
        (None, False, "no body section"),
        (proton.Described(proton.symbol("x"), 1), False, "described"),
        (uuid.uuid4(), False, "UUID"),
        (proton.Array(proton.UNDESCRIBED, proton.Data.INT, 1, 2), False, "array"),
    ],
)
def test_bodies_that_cannot_be_read(body: Any, inferred: bool, word: str) -> None:
    """Everything else is named in ``unreadable``."""
    envelope = from_proton(body=body, inferred=inferred, properties={"k": "v"})
    assert word in (envelope.unreadable or "")
    assert envelope.wire_headers == {"k": "v"}


def test_null_is_a_body() -> None:
    """An AmqpValue of null, which proton does not write, is named too."""
    assert "null" in (mapping.decode(b"\x00\x53\x77\x40", received_at=0).unreadable or "")


def test_several_data_sections_are_one_body() -> None:
    """Data sections are concatenated."""
    assert mapping.decode(b"\x00\x53\x75\xa0\x01a\x00\x53\x75\xa0\x02bc", received_at=0).body == b"abc"


@pytest.mark.parametrize(
    ("descriptor", "name"),
    [(b"\x80\x00\x00\x00\x00\x00\x00\x00\x75", "ulong"), (b"\xa3\x10amqp:data:binary", "symbol")],
)
def test_descriptors_in_other_forms(descriptor: bytes, name: str) -> None:
    """A section's descriptor may be a long number or a symbol."""
    assert mapping.decode(b"\x00" + descriptor + b"\xa0\x01a", received_at=0).body == b"a", name


@given(data=st.binary(max_size=200))
def test_garbage_is_unreadable(data: bytes) -> None:
    """No bytes make decode or copy raise; what proton cannot decode either is unreadable, without headers."""
    envelope = mapping.decode(data, received_at=0)
    mapping.copy(data, {"k": "v"}, durable=True, keep_expiry=False, delay=0)
    if (envelope.unreadable or "").startswith("no AMQP message"):
        assert envelope.wire_headers == {}
        assert envelope.body == data


@given(cut=st.integers(0, 150), flip=st.integers(0, 255))
def test_broken_messages_are_unreadable(cut: int, flip: int) -> None:
    """A message that was cut or damaged anywhere does not make decode or copy raise."""
    good = mapping.encode(Envelope(b'{"a":1}', {"cloudEvents_id": "x", "k": "v"}, ttl=3), subject="e", durable=True)
    broken = good[: cut % len(good)] + bytes((flip,)) + good[cut % len(good) + 1 :]
    for data in (good[: cut % len(good)], broken):
        mapping.decode(data, received_at=0)
        mapping.copy(data, {}, durable=None, keep_expiry=True, delay=1)


def test_deep_nesting_is_unreadable() -> None:
    """Values nested a hundred thousand deep are unreadable, not a crash."""
    for data in (b"\x00" * 100_000, b"\x00\x53\x72" + b"\xc0\xff\x01" * 50_000):
        assert mapping.decode(data, received_at=0).unreadable


def test_stomp_senders() -> None:
    """Of a message that Artemis converted from STOMP, only the sender's own headers are kept."""
    properties = {
        "content-length": "7", "destination-type": "MULTICAST", "destination": "dump", "receipt": "r1",
        "JMSXDeliveryCount": None, "_AMQ_CONTENT_TYPE": "application/json", "cloudEvents_id": "x1", "my.key": "v",
        "priority": "5",
    }  # fmt: skip
    envelope = from_proton(body=b"{}", inferred=True, properties=properties)
    assert envelope.wire_headers == {"cloudEvents_id": "x1", "my.key": "v"}
    assert envelope.content_type == "application/json"


def test_transport_names_are_anybody_elses_own() -> None:
    """An AMQP sender may have a header called ``priority`` or ``id``."""
    assert from_proton(body=b"", inferred=True, properties={"priority": "5", "id": "i"}).headers == {
        "priority": "5",
        "id": "i",
    }


def test_foreign_cloud_events() -> None:
    """The prefix ``cloudEvents:`` is read as ours; where both are there, ours wins."""
    properties = {"cloudEvents:id": "a", "cloudEvents_type": "t", "cloudEvents:type": "no"}
    assert from_proton(body=b"", inferred=True, properties=properties).wire_headers == {
        "cloudEvents_id": "a",
        "cloudEvents_type": "t",
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"expiry_time": 2000.5}, 2000.5),
        ({"expiry_time": 2000.5, "ttl": 3, "creation_time": 10}, 2000.5),
        ({"ttl": 3, "creation_time": 1000}, 1003),
        ({"ttl": 3}, 503),
    ],
)
def test_the_end_of_life(fields: dict[str, Any], expected: float | None) -> None:
    """An absolute expiry time counts first, then the time to live from creation, then from the arrival."""
    data = bytes(proton.Message(body=b"", inferred=True, **fields).encode())
    assert mapping.decode(data, received_at=500).expires_at == expected


bodies = st.one_of(
    texts,
    st.binary(max_size=300),
    st.booleans(),
    st.none(),
    st.integers(-(2**31), 2**31 - 1).map(proton.int32),
    st.dictionaries(texts, st.integers(0, 5), max_size=5),
    st.lists(st.one_of(texts, st.integers(0, 300)), max_size=5),
    st.uuids(),
    st.floats(allow_nan=False),
)


@given(body=bodies, inferred=st.booleans(), durable=st.booleans(), headers=headers, delay=st.sampled_from([0, 0.5]))
def test_copies(body: Any, inferred: bool, durable: bool, headers: dict[str, str], delay: float) -> None:
    """A copy keeps body section, content type and id, and has exactly the given headers; nothing else comes along."""
    inferred = inferred and isinstance(body, (bytes, list))
    original = proton.Message(
        body=body,
        inferred=inferred,
        durable=durable,
        id="native",
        content_type="text/x",
        properties={"_AMQ_DUPL_ID": "d", "own": "o"},
        annotations={proton.symbol("x-opt-other"): 1},
        ttl=50,
        reply_to="somewhere",
    )
    data = bytes(original.encode())
    copy = proton_message(mapping.copy(data, headers, durable=None, keep_expiry=False, delay=delay))
    found = copy.body
    assert (bytes(found) if isinstance(found, memoryview) else found) == body
    assert isinstance(found, memoryview) or type(found) is type(body)
    assert (copy.inferred, copy.durable, copy.id, copy.content_type) == (inferred, durable, "native", "text/x")
    assert (copy.properties or {}) == headers
    assert copy.annotations == ({"x-opt-delivery-delay": 500} if delay else None)
    assert (copy.ttl, copy.expiry_time, copy.reply_to) == (0, 0, None)
    assert proton_message(mapping.copy(data, {}, durable=True, keep_expiry=False, delay=0)).durable


def test_a_copy_of_garbage() -> None:
    """An unparseable original travels as one Data section of octets."""
    copy = proton_message(mapping.copy(b"\xff\xfe", {"k": "v"}, durable=None, keep_expiry=True, delay=0))
    assert bytes(copy.body) == b"\xff\xfe"
    assert (copy.content_type, copy.properties) == ("application/octet-stream", {"k": "v"})


def test_a_copy_keeps_its_end() -> None:
    """With keep_expiry the copy ends when the original would have."""
    data = mapping.encode(Envelope(b"", {}, ttl=100), subject="e", durable=False)
    expected = mapping.decode(data, received_at=0).expires_at
    copy = mapping.copy(data, {}, durable=None, keep_expiry=True, delay=0)
    assert mapping.decode(copy, received_at=0).expires_at == pytest.approx(expected, abs=0.002)
    assert proton_message(copy).ttl == pytest.approx(100, abs=5)


@given(data=st.binary(max_size=40), length=st.integers(0, 300), code=st.sampled_from([0xA0, 0xB0, 0xA1, 0x40, 0x00]))
def test_the_short_way_to_a_body_is_the_long_one(data: bytes, length: int, code: int) -> None:
    """A Data section is found to hold the same without the detour, and only where its sizes are right."""
    size = bytes((length % 256,)) if code == 0xA0 else length.to_bytes(4, "big")
    for body in (s.data_section(data), s.data_section(data) * 2, bytes((0x00, 0x53, 0x75, code)) + size + data):
        found = s.content_of(body)
        if found is not None:
            assert s.body_values(body) == [found]
    assert s.content_of(s.data_section(data)) == data
    assert s.content_of(s.data_section(data) * 2) is None


@given(
    pairs=st.lists(st.tuples(st.sampled_from(["a", "é" * 130]), st.text() | st.none() | st.integers(0, 9)), max_size=6),
    cut=st.integers(0, 60),
    flip=st.integers(0, 60),
)
def test_short_texts_are_read_as_by_the_long_way(pairs: list[tuple[str, Any]], cut: int, flip: int) -> None:
    """A list of encoded values is read as one by one, and what is broken in it is an error in both ways."""
    items = [wire.string(key) for key, _ in pairs]
    items += [wire.ulong(v) if isinstance(v, int) else wire.NULL if v is None else wire.string(v) for _, v in pairs]
    whole = bytearray(b"\xd0" + (len(b"".join(items)) + 4).to_bytes(4, "big") + len(items).to_bytes(4, "big"))
    whole += b"".join(items)
    assert wire.read_value(bytes(whole), 0) == ([wire.read_value(item, 0)[0] for item in items], len(whole))
    if len(whole) > 9 + flip:
        whole[9 + flip] ^= 0xFF
    data = bytes(whole[: max(10, len(whole) - cut)]) if cut else bytes(whole)
    try:
        found = wire.read_value(data, 0)[0]
    except wire.WireError:
        return
    at, one_by_one = 9, []
    for _ in range(len(items)):
        value, at = wire.read_value(data, at)
        one_by_one.append(value)
    assert repr(found) == repr(one_by_one)  # NaN is not equal to itself
