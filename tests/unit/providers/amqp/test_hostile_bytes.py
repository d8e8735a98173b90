"""Bytes that no good program sends as an AMQP message: they can be read, and copied to the error queue."""

from __future__ import annotations

import struct
import time
from typing import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("proton")

from aspyx_event.delivery.dead_letters import copy_headers
from aspyx_event.providers.amqp import mapping, sections, wire

DATA = sections.data_section(b'{"id": 1}')


def copied(data: bytes, *, delay: float = 0) -> bytes:
    """The copy for a retry or the error queue, as the dispatcher has it made."""
    envelope = mapping.decode(data, received_at=time.time())
    return mapping.copy(data, copy_headers(envelope), durable=True, keep_expiry=delay > 0, delay=delay)


def survives(data: bytes) -> None:
    """It can be read and copied, and the copy is a message with the same body."""
    before = mapping.decode(data, received_at=time.time())
    for rabbitmq in (False, True):
        for delay in (0.0, 5.0):
            copy = mapping.copy(
                data, copy_headers(before), durable=True, keep_expiry=delay > 0, delay=delay, rabbitmq=rabbitmq
            )
            after = mapping.decode(copy, received_at=time.time())
            try:
                sections.split(data)
            except wire.WireError:
                assert after.body == data
            else:
                assert sections.split(copy).body == sections.split(data).body


def scalars() -> st.SearchStrategy[bytes]:
    """Encoded scalars, legal and not."""
    fixed = {
        0: (0x40, 0x41, 0x44, 0x45, 0x4F), 1: (0x50, 0x54, 0x55, 0x56), 2: (0x60, 0x61),
        4: (0x70, 0x71, 0x72, 0x73, 0x74), 8: (0x80, 0x81, 0x82, 0x83, 0x84), 16: (0x94, 0x98, 0x9F),
    }  # fmt: skip
    widths = {code: width for width, codes in fixed.items() for code in codes}
    plain = st.sampled_from(sorted(widths)).flatmap(
        lambda code: st.binary(min_size=widths[code], max_size=widths[code]).map(lambda raw: bytes((code,)) + raw)
    )
    varied = st.tuples(st.sampled_from([0xA0, 0xA1, 0xA3]), st.binary(max_size=30)).map(
        lambda pair: bytes((pair[0], len(pair[1]))) + pair[1]
    )
    return plain | varied | st.text(max_size=20).filter(_encodable).map(wire.string)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def values() -> st.SearchStrategy[bytes]:
    """Encoded values, nested and described."""
    return st.recursive(
        scalars(),
        lambda inner: (
            st.lists(inner, max_size=4).map(wire.listed)
            | st.lists(st.tuples(inner, inner), max_size=3).map(wire.mapped)
            | st.tuples(inner, inner).map(lambda pair: b"\0" + pair[0] + pair[1])
        ),
        max_leaves=6,
    )


NAMES = st.sampled_from(
    ["ev_attempt", "cloudEvents_id", "cloudEvents:id", "ev_expires", "ev_header_ack", "x", "content-type"]
)
SECTIONS = {
    sections.HEADER: st.lists(scalars(), max_size=6).map(wire.listed),
    sections.MESSAGE_ANNOTATIONS: st.lists(st.tuples(values(), values()), max_size=3).map(wire.mapped),
    sections.PROPERTIES: st.lists(values(), max_size=13).map(wire.listed),
    sections.APPLICATION_PROPERTIES: st.lists(st.tuples(NAMES.map(wire.string) | scalars(), values()), max_size=5).map(
        wire.mapped
    ),
    sections.VALUE: values(),
    sections.FOOTER: values(),
}


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Whatever bytes arrive: they can be read without an exception, and copied with the same body."""
    survives(data)


def one_by_one(items: int, content: bytes) -> list[object]:
    """So many values by the reader that knows all types."""
    found, at = [], 0
    for _ in range(items):
        value, at = wire.read_value(content, at, 1)
        found.append(value)
    return found


@given(st.lists(values(), max_size=8), st.integers(0, 12))
def test_the_short_way_for_entries(items: list[bytes], cut: int) -> None:
    """What a list holds is read as each value by itself is, types included, and what is wrong is wrong there."""
    content = b"".join(items)
    content = content[: max(0, len(content) - cut)]
    assume(len(content) < 250)
    data = wire.list_of(len(items), content)
    try:
        expected = one_by_one(len(items), content)
    except wire.WireError:
        with pytest.raises(wire.WireError):
            wire.read_value(data, 0)
        return
    found = wire.read_value(data, 0)[0]
    assert repr(found) == repr(expected)
    assert [type(value) for value in found] == [type(value) for value in expected]


@settings(max_examples=400)
@given(
    st.lists(
        st.sampled_from(sorted(SECTIONS)).flatmap(
            lambda code: SECTIONS[code].map(lambda raw: wire.described(code, raw))
        )
    )
)
def test_any_sections(parts: list[bytes]) -> None:
    """Whatever values are in whatever sections: the message can be read and copied, and keeps its body."""
    survives(b"".join(parts))
    survives(b"".join(parts) + DATA)


@pytest.mark.parametrize("code", [0xD800, 0xDFFF, 0x110000, 0xFFFFFFFF])
def test_a_character_that_is_none(code: int) -> None:
    """A char outside Unicode, or half of a pair, makes a message malformed; it goes to the error queue whole."""
    header = wire.described(
        sections.APPLICATION_PROPERTIES, wire.mapped([(wire.string("x"), b"\x73" + struct.pack(">I", code))])
    )
    envelope = mapping.decode(header + DATA, received_at=time.time())
    assert envelope.unreadable == "no AMQP message: a value of type 0x73 is malformed"
    assert sections.body_values(sections.split(copied(header + DATA)).body) == [header + DATA]


@pytest.mark.parametrize("moment", [2**63 - 1, -(2**63), 253402300800000])
@pytest.mark.parametrize("position", [sections.ABSOLUTE_EXPIRY, sections.CREATION_TIME])
def test_times_from_nowhere(moment: int, position: int) -> None:
    """A creation or expiry as far away as AMQP can say does not keep a message from being copied."""
    fields = [wire.NULL] * position + [b"\x83" + struct.pack(">q", moment)]
    message = wire.described(sections.PROPERTIES, wire.listed(fields)) + DATA
    for delay in (0.0, 5.0):
        assert sections.split(copied(message, delay=delay)).body == DATA


@pytest.mark.parametrize("raw", [b"\x81" + struct.pack(">q", -1), b"\x41", b"\x72\x7f\xc0\0\0", wire.listed([b"\x41"])])
def test_an_id_of_a_kind_that_it_must_not_be(raw: bytes) -> None:
    """An id that is a negative number, a boolean, a float or a list does not keep a message from being copied."""
    message = wire.described(sections.PROPERTIES, wire.listed([raw])) + DATA
    assert sections.split(copied(message)).body == DATA


@pytest.mark.parametrize("deep", [b"\0" * 1_000_000, b"\0\x40" * 1_000_000 + b"\x40"])
def test_descriptors_without_end(deep: bytes) -> None:
    """A megabyte of descriptors is malformed, found out at once: not after a million steps for each of them."""
    with pytest.raises(wire.WireError, match="nested too deeply"):
        sections.split(wire.described(sections.VALUE, deep) + DATA)


def nested(depth: int, wrap: Callable[[bytes], bytes]) -> bytes:
    """A value in so many others."""
    value = wire.NULL
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap",
    [lambda v: wire.listed([v, v[:0] or b"\x41"]), lambda v: wire.mapped([(b"\x41", v)]), lambda v: b"\0\x53\x01" + v],
)
def test_the_nesting_limit(wrap: Callable[[bytes], bytes]) -> None:
    """Values are read 32 levels deep, and no deeper."""
    wire.read_value(nested(wire.MAX_DEPTH, wrap), 0)
    with pytest.raises(wire.WireError, match="nested too deeply"):
        wire.read_value(nested(wire.MAX_DEPTH + 1, wrap), 0)
