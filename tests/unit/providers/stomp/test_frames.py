"""Where frames end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aspyx_event.providers.stomp.frames import Splitter

LINES = st.lists(st.text("abc:\\", min_size=1, max_size=8).map(str.encode), max_size=4)
EOLS = st.sampled_from([b"", b"\n", b"\n\n", b"\r\n", b"\n\n\n\n"])


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """One frame without its NUL, with a length and any bytes, or without and no NUL."""
    eol = draw(st.sampled_from([b"\n", b"\r\n"]))
    sized = draw(st.booleans())
    body = draw(st.binary(max_size=40)) if sized else draw(st.binary(max_size=40)).replace(b"\0", b"")
    headers = [b"x" + line for line in draw(LINES)] + ([b"content-length:%d" % len(body)] if sized else [])
    return eol.join([b"MESSAGE", *headers, b"", b""]) + body


@given(st.lists(st.tuples(EOLS, frames()), max_size=6), EOLS, st.lists(st.integers(1, 30), min_size=1))
def test_frames_survive_any_chunks(parts: list[tuple[bytes, bytes]], last: bytes, sizes: list[int]) -> None:
    """However the bytes arrive, and however many heartbeats lie between: every frame comes out, once, whole."""
    stream = b"".join(eols + frame + b"\0" for eols, frame in parts) + last
    splitter, found, at, turn = Splitter(), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += list(splitter.feed(stream[at : at + size]))
        at, turn = at + size, turn + 1
    assert found == [frame for _, frame in parts]


def test_heartbeats_alone_are_nothing() -> None:
    """Line ends between frames are no frames, and pile up nowhere."""
    splitter = Splitter()
    for _ in range(100):
        assert list(splitter.feed(b"\n\r\n")) == []
    assert list(splitter.feed(b"RECEIPT\nreceipt-id:1\n\n\0\n")) == [b"RECEIPT\nreceipt-id:1\n\n"]


FORGED = b"RECEIPT\nreceipt-id:r1\n\n"


@given(st.sampled_from([b"x:a\0b", b"a\0b:v", b"x:\0" + FORGED.replace(b"\n", b"\\n") + b"\0"]), st.integers(1, 200))
def test_a_nul_in_a_header_ends_no_frame(line: bytes, size: int) -> None:
    """A NUL in a header is a part of it: what follows is no frame of the broker's."""
    frame = b"MESSAGE\nmessage-id:1\n" + line + b"\ncontent-length:3\n\n{\0}"
    stream = frame + b"\0" + FORGED + b"\0"
    splitter, found = Splitter(), []
    for at in range(0, len(stream), size):
        found += list(splitter.feed(stream[at : at + size]))
    assert found == [frame, FORGED]
