"""Frames to bytes and back, the short way, against stomp.py's way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aspyx_event.providers.stomp import encoding

TEXTS = st.text(st.one_of(st.sampled_from("\\:\r\nncr\0x"), st.characters()), max_size=8)
KEYS = TEXTS.filter(bool)
PIECES = st.sampled_from([b":", b"\\", b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"n", b"c", b"\xff", b"x", b"\xc3\xbc"])
RAW = st.lists(PIECES, max_size=20).map(b"".join)


class Transport:
    """Keeps what stomp.py's protocol transmits, encoded as its own transport does."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def set_listener(self, name: str, listener: Any) -> None:
        """Not needed."""

    def transmit(self, frame: Any) -> None:
        """Encode it."""
        utils = pytest.importorskip("stomp.utils")
        self.sent.append(utils.pack(utils.convert_frame(frame)))


@given(st.dictionaries(KEYS.filter(lambda key: not set("\\:\r\n") & set(key)), TEXTS, max_size=5), st.binary())
def test_a_send_frame_is_what_stomp_py_writes(headers: dict[str, str], body: bytes) -> None:
    """The same lines, whatever the values; only their order is ours. (stomp.py does not escape keys.)"""
    protocol, transport = pytest.importorskip("stomp.protocol"), Transport()
    protocol.Protocol12(transport, auto_content_length=False).send_frame("SEND", dict(headers), body)
    ours = encoding.head("SEND", dict(sorted(headers.items()))) + b"\n" + body + b"\0"
    assert [ours] == transport.sent


@given(TEXTS)
def test_an_acknowledgement_is_what_stomp_py_writes(message: str) -> None:
    """An ACK of any id, such as ActiveMQ's with colons."""
    protocol, transport = pytest.importorskip("stomp.protocol"), Transport()
    protocol.Protocol12(transport).ack(message)
    assert [encoding.acknowledgement(message)] == transport.sent


@given(st.one_of(RAW, RAW.map(lambda raw: b"MESSAGE\nack:1\n" + raw + b"\n\nbody"), st.binary(max_size=40)))
@example(b"MESSAGE\nx:a\\\\cb\\\\\nx:2\n:v\nno colon\na\\cb:\\t\\\n\n{}")
@example(b"MESSAGE\nx:1\r\ny:2\n\n{}")
@example(b"\n\n\n")
@example(b"")
def test_a_frame_is_what_stomp_py_reads(raw: bytes) -> None:
    """Any bytes, well formed or not, are the frame that stomp.py makes of them, or are left to it."""
    utils = pytest.importorskip("stomp.utils")
    found = encoding.read(raw)
    if found is not None:
        theirs = utils.parse_frame(raw)
        assert found == (theirs.cmd, theirs.headers, theirs.body)


def test_usual_frames_take_the_short_way() -> None:
    """What brokers send all day is not left to stomp.py: line feeds, escapes, an empty body."""
    assert encoding.read(b"RECEIPT\nreceipt-id:r1\n\n") == ("RECEIPT", {"receipt-id": "r1"}, b"")
    raw = b"MESSAGE\ncloudEvents_time:2026-01-01T10\\c00\\c00Z\npath:a\\\\b\n\n{}\n\n"
    headers = {"cloudEvents_time": "2026-01-01T10:00:00Z", "path": "a\\b"}
    assert encoding.read(raw) == ("MESSAGE", headers, b"{}\n\n")


@given(st.dictionaries(KEYS, TEXTS, max_size=5), st.binary())
def test_what_is_written_is_read(headers: dict[str, str], body: bytes) -> None:
    """Keys and values come back from the bytes, unless they cannot be encoded."""
    raw = encoding.head("SEND", headers) + b"\n" + body
    wanted = {}
    for key, value in headers.items():
        wanted.setdefault(key.encode("utf-8", "replace").decode(), value.encode("utf-8", "replace").decode())
    assert encoding.read(raw) == ("SEND", wanted, body)
