"""The frames that come by the million, to bytes and back: SEND and ACK, MESSAGE and RECEIPT.

stomp.py does the same, and does all others: of a MESSAGE it matches and unescapes each header by two regular
expressions, and of a SEND it copies and sorts the headers and encodes them one by one. What is unusual here (a
carriage return, no blank line) is left to it, and tests hold both ways against each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from aspyx_event.envelope import CE_SOURCE, CE_SPECVERSION, CE_TYPE
from aspyx_event.providers.brokers.stomp_headers import by_name

Frame = tuple[str, dict[str, str], bytes]
"""Command, headers, body."""

_RECEIPT = re.compile(rb"RECEIPT\nreceipt-id:(s[0-9]+)\n\n\0")
_RECEIPTS = re.compile(rb"(?:\n*RECEIPT\nreceipt-id:s[0-9]+\n\n\0)+\n*")
_UNESCAPES = {"\\\\": "\\", "\\r": "\r", "\\n": "\n", "\\c": ":"}
_ESCAPED = re.compile(r"\\.")
_ALIKE = frozenset({CE_SOURCE, CE_SPECVERSION, CE_TYPE, "content-type", "destination-type", "persistent"})
"""Headers that say the same in message after message: their lines are remembered."""
_LONGEST = 128
"""Characters of such a value. Those of copies come from others, who shall not fill our memory."""


def escaped(text: str) -> str:
    """A header's key or value as it is written; not for CONNECT."""
    # ``translate`` takes six times as long.
    return text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n").replace(":", "\\c")


def send(destination: str, headers: Mapping[str, str]) -> bytes:
    """A SEND frame's begin: the command and these headers, each with its line end. More headers may follow."""
    lines = ["SEND", _line("destination", destination)]
    for key, value in headers.items():
        alike = key in _ALIKE and len(value) <= _LONGEST
        lines.append(_line(key, value) if alike else _begin(key) + escaped(value))
    lines.append("")
    return "\n".join(lines).encode("utf-8", "replace")


@by_name
def _begin(key: str) -> str:
    return escaped(key) + ":"


@lru_cache(1024)
def _line(key: str, value: str) -> str:
    return f"{escaped(key)}:{escaped(value)}"


def receipts(data: bytes) -> tuple[list[bytes], bytes]:
    """The receipts of SEND frames that ``data`` begins with, by their ids, and what follows them.

    Those of SENDs, which ``Link.publish`` writes, are an ``s`` and a number. They are three in four of the frames on a
    connection that sends, and found thirty times as fast as one by one.
    """
    found = _RECEIPTS.match(data)
    return ([], data) if found is None else (_RECEIPT.findall(found.group()), data[found.end() :])


def acknowledgement(message: str) -> bytes:
    """An ACK frame."""
    return f"ACK\nid:{escaped(message)}\n\n\0".encode("utf-8", "replace")


def read(raw: bytes) -> Frame | None:
    """A frame out of its bytes, without the NUL. None: ask stomp.py.

    Of a header that is there twice the first counts, lines without a colon and unknown escapes are left as they are.
    """
    before, blank, body = raw.partition(b"\n\n")
    if not blank or b"\r" in before:
        return None
    lines = before.decode("utf-8", "replace").split("\n")
    command = lines[0]
    if not command:
        return None
    del lines[0]
    headers: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if "\\" in line:
            key, value = _unescaped(key), _unescaped(value)
        if colon and key and key not in headers:
            headers[key] = value
    return command, headers, body


def _unescaped(text: str) -> str:
    if "\\\\" in text:
        return _ESCAPED.sub(lambda found: _UNESCAPES.get(found.group(), found.group()), text)
    # Each backslash begins an escape of its own, and what is put in has none.
    return text.replace("\\c", ":").replace("\\n", "\n").replace("\\r", "\r")
