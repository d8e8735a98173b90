"""Frames to bytes and back, the short way, against stomp.py's way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aspyx_event.providers.stomp import encoding
from aspyx_event.providers.stomp.frames import Splitter

TEXTS = st.text(st.one_of(st.sampled_from("\\:\r\nncr\0x"), st.characters()), max_size=8)
KEYS = TEXTS.filter(bool)
PLAIN_KEYS = st.one_of(
    KEYS.filter(lambda key: not set("\\:\r\n") & set(key)),
    st.sampled_from(["persistent", "content-type", "cloudEvents_source", "cloudEvents_id"]),
)
PIECES = st.sampled_from([b":", b"\\", b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"n", b"c", b"\xff", b"x", b"\xc3\xbc"])
LINES = st.sampled_from([b"RECEIPT\nreceipt-id:s", b"12", b"\n\n\0", b"\n", b"\r\n", b"\0", b"x:y\n", b"r1\n\n\0"])
RECEIPT = st.integers(0, 10**12).map(lambda number: b"RECEIPT\nreceipt-id:s%d\n\n\0\n" % number)
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


@given(st.dictionaries(PLAIN_KEYS, TEXTS, max_size=5), TEXTS, st.binary())
def test_a_send_frame_is_what_stomp_py_writes(headers: dict[str, str], destination: str, body: bytes) -> None:
    """The same lines, whatever the values; only their order is ours. (stomp.py does not escape keys.)"""
    protocol, transport = pytest.importorskip("stomp.protocol"), Transport()
    wanted = {**headers, "destination": destination}
    protocol.Protocol12(transport, auto_content_length=False).send_frame("SEND", wanted, body)
    for _ in range(2):  # the second time some lines are remembered
        begin = encoding.send(destination, headers)
        before, _, after = transport.sent[0].partition(b"\n\n")
        assert begin.startswith(b"SEND\n")
        assert sorted(begin[:-1].split(b"\n")) == sorted(before.split(b"\n"))
        assert after == body + b"\0"


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


def frames_of(data: bytes) -> list[encoding.Frame | bytes]:
    """What is found frame by frame."""
    return [encoding.read(raw) or raw for raw in Splitter().feed(data)]


@given(st.lists(RECEIPT).map(b"".join), st.lists(LINES).map(b"".join))
@example(b"", b"RECEIPT\nreceipt-id:s1\n\n\0RECEIPT\nreceipt-id:s2\nx:y\n\n\0")
@example(b"\n\n", b"RECEIPT\nreceipt-id:r1\n\n\0")
def test_receipts_found_together_are_those_found_one_by_one(receipts: bytes, more: bytes) -> None:
    """Receipts of SENDs at the begin of what was read are the same frames, and what follows them is left as it is."""
    ids, rest = encoding.receipts(receipts + more)
    assert len(ids) >= receipts.count(b"RECEIPT")
    one_by_one: list[encoding.Frame | bytes] = [("RECEIPT", {"receipt-id": each.decode()}, b"") for each in ids]
    assert one_by_one + frames_of(rest) == frames_of(receipts + more)


def test_a_receipt_that_is_not_complete_is_left() -> None:
    """Up to its NUL it may still become something else."""
    whole = b"RECEIPT\nreceipt-id:s12\n\n\0"
    for end in range(len(whole)):
        assert encoding.receipts(whole + whole[:end]) == ([b"s12"], whole[:end])
        assert encoding.receipts(whole[:end]) == ([], whole[:end])


def test_usual_frames_take_the_short_way() -> None:
    """What brokers send all day is not left to stomp.py: line feeds, escapes, an empty body."""
    assert encoding.read(b"RECEIPT\nreceipt-id:r1\n\n") == ("RECEIPT", {"receipt-id": "r1"}, b"")
    raw = b"MESSAGE\ncloudEvents_time:2026-01-01T10\\c00\\c00Z\npath:a\\\\b\n\n{}\n\n"
    headers = {"cloudEvents_time": "2026-01-01T10:00:00Z", "path": "a\\b"}
    assert encoding.read(raw) == ("MESSAGE", headers, b"{}\n\n")


@given(st.dictionaries(KEYS, TEXTS, max_size=5), st.binary())
def test_what_is_written_is_read(headers: dict[str, str], body: bytes) -> None:
    """Keys and values come back from the bytes, unless they cannot be encoded."""
    raw = encoding.send("a:b", headers) + b"\n" + body
    wanted = {"destination": "a:b"}
    for key, value in headers.items():
        wanted.setdefault(key.encode("utf-8", "replace").decode(), value.encode("utf-8", "replace").decode())
    assert encoding.read(raw) == ("SEND", wanted, body)
