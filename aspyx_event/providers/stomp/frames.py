"""Where one STOMP frame ends in a stream of bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LENGTH = re.compile(rb"^content-length:\s*([0-9]{1,10})\s*$", re.MULTILINE)
_EOL = b"\r\n"


class Splitter:
    """Cuts frames out of what is fed. Line ends between frames, heartbeats among them, are dropped."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = 0
        """Bytes that the first frame in the buffer is known to have, its NUL included; 0: not known yet."""
        self._searched = 0

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
            self._wanted = self._searched = 0
        del self._buffer[:begin]

    def _skip_line_ends(self, begin: int) -> int:
        while begin < len(self._buffer) and self._buffer[begin] in _EOL:
            begin += 1
        return begin

    def _end(self, begin: int) -> int | None:
        """Where the NUL of the frame that begins here is."""
        if self._wanted:
            end = begin + self._wanted - 1
            return end if end < len(self._buffer) else None
        nul = self._buffer.find(0, begin + self._searched)
        preamble = self._preamble_end(begin, nul)
        if preamble is not None:
            length = _LENGTH.search(self._buffer, begin, preamble)
            if length is not None:
                self._wanted = preamble - begin + int(length.group(1)) + 1
                return self._end(begin)
        if nul < 0:
            self._searched = len(self._buffer) - begin
            return None
        return nul

    def _preamble_end(self, begin: int, nul: int) -> int | None:
        """Where the body begins; a frame's headers cannot hold a NUL."""
        limit = len(self._buffer) if nul < 0 else nul
        ends = [
            (at, at + len(blank))
            for blank in (b"\n\n", b"\n\r\n")
            if (at := self._buffer.find(blank, begin, limit)) >= 0
        ]
        return min(ends)[1] if ends else None
