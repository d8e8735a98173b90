"""Where one STOMP frame ends in a stream of bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LENGTH = re.compile(rb"\s*([0-9]{1,10})\s*$", re.MULTILINE)
_LENGTH_KEY = b"\ncontent-length:"
_EOL = b"\r\n"


class Splitter:
    """Cuts frames out of what is fed. Line ends between frames, heartbeats among them, are dropped.

    A frame ends at a NUL behind its blank line, never before: Artemis lets senders put a NUL into a header, and hands
    it on as it is. Who cut there would lose the message, and take what follows for a frame of the broker's.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = 0
        """Bytes that the first frame in the buffer is known to have, its NUL included; 0: not known yet."""
        self._body = 0
        """Where its body begins, counted from the frame's begin; 0: not known yet."""
        self._searched = 0
        """How many of its bytes need not be looked at again."""

    @property
    def empty(self) -> bool:
        """Whether what is fed next begins a frame."""
        return not self._buffer

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that are complete now, each without its NUL."""
        self._buffer += data
        begin = 0
        while True:
            begin = self._skip_line_ends(begin)
            end = self._end(begin)
            if end is None:
                break
            yield bytes(self._buffer[begin:end])
            begin = end + 1
            self._wanted = self._body = self._searched = 0
        del self._buffer[:begin]

    def _skip_line_ends(self, begin: int) -> int:
        while begin < len(self._buffer) and self._buffer[begin] in _EOL:
            begin += 1
        return begin

    def _end(self, begin: int) -> int | None:
        """Where the NUL of the frame that begins here is."""
        if not self._body and not self._find_body(begin):
            return None
        if self._wanted:
            end = begin + self._wanted - 1
            return end if end < len(self._buffer) else None
        nul = self._buffer.find(0, begin + max(self._body, self._searched))
        if nul < 0:
            self._searched = len(self._buffer) - begin
            return None
        return nul

    def _find_body(self, begin: int) -> bool:
        """Look for the blank line, and a content-length before it. False: it is not there yet."""
        start = begin + self._searched
        end = self._buffer.find(b"\n\n", start)
        other = self._buffer.find(b"\n\r\n", start, len(self._buffer) if end < 0 else end + 2)
        if end < 0 and other < 0:
            self._searched = max(0, len(self._buffer) - begin - len(b"\n\r"))
            return False
        self._body = (other + len(b"\n\r\n") if other >= 0 else end + len(b"\n\n")) - begin
        self._searched = 0
        length = self._length(begin, begin + self._body)
        if length is not None:
            self._wanted = self._body + length + 1
        return True

    def _length(self, begin: int, end: int) -> int | None:
        """The first content-length among the headers that is one."""
        at = self._buffer.find(_LENGTH_KEY, begin, end)
        while at >= 0:
            at += len(_LENGTH_KEY)
            found = _LENGTH.match(self._buffer, at, end)
            if found is not None:
                return int(found.group(1))
            at = self._buffer.find(_LENGTH_KEY, at, end)
        return None
