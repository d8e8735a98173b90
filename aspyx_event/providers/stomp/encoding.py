"""The frames that come by the million, to bytes and back: SEND and ACK, MESSAGE and RECEIPT.

stomp.py does the same, and does all others: of a MESSAGE it matches and unescapes each header by two regular
expressions, and of a SEND it copies and sorts the headers and encodes them one by one. What is unusual here (a
carriage return, no blank line) is left to it, and tests hold both ways against each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Frame = tuple[str, dict[str, str], bytes]
"""Command, headers, body."""

_ESCAPES = str.maketrans({"\\": "\\\\", "\r": "\\r", "\n": "\\n", ":": "\\c"})
_UNESCAPES = {"\\\\": "\\", "\\r": "\r", "\\n": "\n", "\\c": ":"}
_ESCAPED = re.compile(r"\\.")
_needs_escape = re.compile(r"[\\\r\n:]").search


def escaped(text: str) -> str:
    """A header's key or value as it is written; not for CONNECT."""
    return text.translate(_ESCAPES) if _needs_escape(text) else text


def head(command: str, headers: Mapping[str, str]) -> bytes:
    """A frame's begin: the command and these headers, each with its line end. More headers may follow."""
    lines = [command]
    for key, value in headers.items():
        plain = not _needs_escape(key + value)
        lines.append(f"{key}:{value}" if plain else f"{escaped(key)}:{escaped(value)}")
    lines.append("")
    return "\n".join(lines).encode("utf-8", "replace")


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
