"""AMQP 1.0's type system on bytes: read any value, write the few that we send.

Pure Python, so that any thread may use it. An engine's own codec would give back and take the GIL dozens of times for
each message, and re-encode bodies it only ought to copy.
"""

from __future__ import annotations

import functools
import struct
import uuid
from typing import Any, Callable, NamedTuple

DESCRIBED = 0x00
MAX_DEPTH = 32
"""How deep values may be nested in what is read here: headers, annotations, and bodies that are no JSON anyway."""


class WireError(ValueError):
    """These bytes are no AMQP value."""


class Described(NamedTuple):
    """A value with a descriptor of its own."""

    descriptor: Any
    value: Any


class Symbol(str):
    """An AMQP symbol, told from a string."""

    __slots__ = ()


_FIXED_WIDTH = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
LISTS_AND_MAPS = (0xC0, 0xC1, 0xD0, 0xD1, 0x45)
_ONE_BYTE_SIZE = (0xA, 0xC, 0xE)
_FOUR_BYTE_SIZE = (0xB, 0xD, 0xF)


def end_of_value(data: bytes, at: int, depth: int = 0) -> int:
    """Where the value that begins at ``at`` ends. Raises WireError when it does not end inside the data."""
    while at < len(data) and data[at] == DESCRIBED:
        depth = _deeper(depth)
        at = end_of_value(data, at + 1, depth)
    if at >= len(data):
        raise WireError("a value is missing")
    category = data[at] >> 4
    if category in _FIXED_WIDTH:
        end = at + 1 + _FIXED_WIDTH[category]
    elif category in _ONE_BYTE_SIZE:
        end = at + 2 + data[at + 1] if at + 1 < len(data) else len(data) + 1
    elif category in _FOUR_BYTE_SIZE:
        end = at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")
    else:
        raise WireError(f"0x{data[at]:02x} is no type")
    if end > len(data):
        raise WireError("a value is cut off")
    return end


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise WireError("values are nested too deeply")
    return depth + 1


def _unpacker(layout: str) -> Callable[[bytes], Any]:
    packed = struct.Struct(layout)
    return lambda raw: packed.unpack(raw)[0]


def _utf8(raw: bytes) -> str:
    return raw.decode("utf-8")


def _character(raw: bytes) -> str:
    return raw.decode("utf-32-be")  # no surrogate, and nothing beyond Unicode


_SCALARS: dict[int, Callable[[bytes], Any]] = {
    0x40: lambda _raw: None,
    0x41: lambda _raw: True,
    0x42: lambda _raw: False,
    0x43: lambda _raw: 0,
    0x44: lambda _raw: 0,
    0x50: lambda raw: raw[0],
    0x51: _unpacker(">b"),
    0x52: lambda raw: raw[0],
    0x53: lambda raw: raw[0],
    0x54: _unpacker(">b"),
    0x55: _unpacker(">b"),
    0x56: lambda raw: raw[0] != 0,
    0x60: _unpacker(">H"),
    0x61: _unpacker(">h"),
    0x70: _unpacker(">I"),
    0x71: _unpacker(">i"),
    0x72: _unpacker(">f"),
    0x73: _character,
    0x74: lambda _raw: None,  # decimals: nobody's header
    0x80: _unpacker(">Q"),
    0x81: _unpacker(">q"),
    0x82: _unpacker(">d"),
    0x83: _unpacker(">q"),
    0x84: lambda _raw: None,
    0x94: lambda _raw: None,
    0x98: lambda raw: uuid.UUID(bytes=raw),
    0xA0: bytes,
    0xB0: bytes,
    0xA1: _utf8,
    0xB1: _utf8,
    0xA3: lambda raw: Symbol(raw.decode("ascii")),
    0xB3: lambda raw: Symbol(raw.decode("ascii")),
}


def read_value(data: bytes, at: int, depth: int = 0) -> tuple[Any, int]:
    """The value that begins at ``at``, and where it ends. Arrays are read as None. Raises WireError."""
    if at < len(data) and data[at] == DESCRIBED:
        depth = _deeper(depth)
        descriptor, begin = read_value(data, at + 1, depth)
        value, end = read_value(data, begin, depth)
        return Described(descriptor, value), end
    end = end_of_value(data, at)
    code = data[at]
    category = code >> 4
    if category in (0xC, 0xD) or code == 0x45:
        return read_compound(data, at, end, depth), end
    if category in (0xE, 0xF):
        return None, end
    head = 2 if category == 0xA else 5 if category == 0xB else 1
    reader = _SCALARS.get(code)
    if reader is None:
        raise WireError(f"0x{code:02x} is no type")
    try:
        return reader(data[at + head : end]), end
    except ValueError as error:
        raise WireError(f"a value of type 0x{code:02x} is malformed") from error


def read_compound(data: bytes, at: int, end: int, depth: int = 0) -> Any:
    """The list, or the pairs of the map, that begins at ``at`` and ends at ``end``. Raises WireError."""
    code = data[at]
    if code == 0x45:
        return []
    width = 1 if code in (0xC0, 0xC1) else 4
    if code not in LISTS_AND_MAPS:
        raise WireError(f"0x{code:02x} is no type")
    begin = at + 1 + 2 * width
    if begin > end:
        raise WireError("a list or map is cut off")
    count = int.from_bytes(data[begin - width : begin], "big")
    if count > end - begin:
        raise WireError("a list or map claims more entries than it can hold")
    values, begin = _entries(data, begin, end, count, _deeper(depth))
    if begin > end:
        raise WireError("an entry reaches beyond its list or map")
    if code in (0xC0, 0xD0):
        return values
    if count % 2:
        raise WireError("a map has a key without a value")
    return [(values[i], values[i + 1]) for i in range(0, count, 2)]


@functools.lru_cache(maxsize=256)
def _ascii_symbol(raw: bytes) -> Symbol:
    return Symbol(raw.decode("ascii"))


def _entries(data: bytes, begin: int, end: int, count: int, depth: int) -> tuple[list[Any], int]:
    """So many values that ought to end before ``end``, and where they do."""
    values: list[Any] = []
    for _ in range(count):
        # Nearly all that messages of events hold is short text, nothing, a content type and a time: these go without
        # the detour, which finds words for what is wrong, too.
        code = data[begin] if begin + 1 < end else 0x40 if data[begin:end] == NULL else None
        if code == 0xA1 and (stop := begin + 2 + data[begin + 1]) <= end:
            try:
                values.append(data[begin + 2 : stop].decode())
            except UnicodeDecodeError:
                raise WireError("a value of type 0xa1 is malformed") from None
            begin = stop
        elif code == 0x40:
            values.append(None)
            begin += 1
        elif code == 0xA3 and (stop := begin + 2 + data[begin + 1]) <= end and data[begin + 2 : stop].isascii():
            values.append(_ascii_symbol(data[begin + 2 : stop]))
            begin = stop
        elif code == 0x83 and begin + 9 <= end:
            values.append(int.from_bytes(data[begin + 1 : begin + 9], "big", signed=True))
            begin += 9
        else:
            value, begin = read_value(data, begin, depth)
            values.append(value)
    return values, begin


NULL = b"\x40"


def boolean(value: bool) -> bytes:
    """Encode a boolean."""
    return b"\x41" if value else b"\x42"


def ubyte(value: int) -> bytes:
    """Encode an unsigned byte."""
    return bytes((0x50, value))


def uint(value: int) -> bytes:
    """Encode an unsigned 32-bit number."""
    return b"\x70" + value.to_bytes(4, "big")


def ulong(value: int) -> bytes:
    """Encode an unsigned 64-bit number."""
    return b"\x80" + value.to_bytes(8, "big")


def long(value: int) -> bytes:
    """Encode a signed 64-bit number."""
    return b"\x81" + value.to_bytes(8, "big", signed=True)


def timestamp(seconds: float) -> bytes:
    """Encode a Unix time; one that is further away than AMQP can say becomes the last or first that it can."""
    milliseconds = max(-(2**63), min(int(seconds * 1000), 2**63 - 1))
    return b"\x83" + milliseconds.to_bytes(8, "big", signed=True)


def _variable(short: bytes, long_: bytes, raw: bytes) -> bytes:
    if len(raw) < 256:
        return short + bytes((len(raw),)) + raw
    return long_ + len(raw).to_bytes(4, "big") + raw


_SHORT_STRING = tuple(bytes((0xA1, length)) for length in range(256))


def string(value: str) -> bytes:
    """Encode a string."""
    raw = value.encode()
    try:
        return _SHORT_STRING[len(raw)] + raw
    except IndexError:
        return b"\xb1" + len(raw).to_bytes(4, "big") + raw


_known_string = functools.lru_cache(maxsize=1024)(string)
_SHORT = 64


def known_string(value: str) -> bytes:
    """The same for a text that comes again and again, as the names of headers do; a long one is not remembered."""
    return _known_string(value) if len(value) <= _SHORT else string(value)


def symbol(value: str) -> bytes:
    """Encode a symbol."""
    return _variable(b"\xa3", b"\xb3", value.encode("ascii"))


_known_symbol = functools.lru_cache(maxsize=64)(symbol)


def known_symbol(value: str) -> bytes:
    """The same for one that comes again and again, as content types do; a long one is not remembered."""
    return _known_symbol(value) if len(value) <= _SHORT else symbol(value)


def binary(value: bytes) -> bytes:
    """Encode a binary."""
    return _variable(b"\xa0", b"\xb0", value)


def _compound(short: bytes, long_: bytes, count: int, content: bytes) -> bytes:
    if count < 256 and len(content) < 255:
        return short + bytes((len(content) + 1, count)) + content
    return long_ + (len(content) + 4).to_bytes(4, "big") + count.to_bytes(4, "big") + content


def listed(items: list[bytes]) -> bytes:
    """Encode a list of encoded values; trailing nulls are left out."""
    while items and items[-1] == NULL:
        items = items[:-1]
    return list_of(len(items), b"".join(items))


def list_of(count: int, content: bytes) -> bytes:
    """Encode a list of so many values, encoded one after the other."""
    return _compound(b"\xc0", b"\xd0", count, content)


def mapped(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Encode a map of encoded keys and values."""
    return compound_map(2 * len(pairs), b"".join([key + value for key, value in pairs]))


def compound_map(count: int, content: bytes) -> bytes:
    """Encode a map of so many keys and values, encoded one after the other."""
    return _compound(b"\xc1", b"\xd1", count, content)


_DESCRIPTORS = tuple(bytes((DESCRIBED, 0x53, code)) for code in range(256))


def described(code: int, value: bytes) -> bytes:
    """Encode a value with a small numeric descriptor, such as a section."""
    return _DESCRIPTORS[code] + value
