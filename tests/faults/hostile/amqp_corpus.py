"""Hostile AMQP messages: odd bodies, absurd sections, and bytes that are no message at all."""

from __future__ import annotations

import functools
import random
import struct
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from proton import (
    UNDESCRIBED,
    AnnotationDict,
    Array,
    Data,
    Described,
    Message,
    byte,
    char,
    decimal32,
    float32,
    symbol,
    timestamp,
    ubyte,
    uint,
    ulong,
    ushort,
)

from tests.faults.hostile import headers as forged
from tests.faults.hostile.bodies import GOOD
from tests.faults.hostile.message import SECRET, Body, Hostile, new_serial

_FAR = 2**63 - 1
_NOT_DESCRIBED: Any = UNDESCRIBED


def encoded(serial: str, body: Any = GOOD, *, properties: dict[Any, Any] | None = None, **fields: Any) -> bytes:
    """One message by proton; the serial is its id and a property, unless the arguments say otherwise."""
    given = {"durable": True, "id": serial, "content_type": "application/json", **fields}
    inferred = given.pop("inferred", isinstance(body, bytes))
    message = Message(body=body, inferred=inferred, properties={"serial": serial, **(properties or {})})
    for name, value in given.items():
        if value is not None:
            setattr(message, name, value)
    data: bytes = message.encode()
    return data


def with_bodies(bodies: Iterable[Body]) -> Iterator[Hostile]:
    """Each body in one Data section."""
    for body in bodies:
        serial = new_serial()
        kind = body.content_type if body.content_type is None or body.content_type.isascii() else "x/y"
        yield Hostile(body.kind, serial, encoded(serial, body.data, content_type=kind), body.data)


def with_headers(sets: Iterable[tuple[str, forged.Headers]]) -> Iterator[Hostile]:
    """Each set of headers on a good body."""
    for kind, headers in sets:
        serial = new_serial()
        yield Hostile(kind, serial, encoded(serial, properties=dict(headers)), GOOD)


_VALUES: dict[str, Any] = {
    "a map": {"id": 1},
    "a map with odd keys": {2: 2, True: None, b"k": "v", symbol("s"): 1.5},
    "a list": [1, 2],
    "a described type": Described(symbol("x:y"), ulong(3)),
    "a described map": Described(ulong(2**60), {"id": 1}),
    "an array": Array(_NOT_DESCRIBED, Data.INT, 1, 2, 3),
    "an array of strings": Array(_NOT_DESCRIBED, Data.STRING, "a", "b"),
    "a described array": Array(symbol("d"), Data.LONG, 1, 2),
    "null": None,
    "true": True,
    "a number": 7,
    "a byte": byte(-1),
    "an unsigned short": ushort(65535),
    "a float": float("nan"),
    "a short float": float32(1.5),
    "a decimal": decimal32(7),
    "a character": char("x"),
    "a time": timestamp(-1),
    "a UUID": uuid.UUID(int=5),
    "a symbol": symbol("x"),
    "a text": GOOD.decode(),
    "a text of no JSON": SECRET,
    "a binary": None,
}


def _odd_bodies() -> Iterator[Hostile]:
    for name, value in _VALUES.items():
        serial = new_serial()
        body = GOOD if name in ("a binary", "a text") else None
        data = encoded(serial, GOOD, inferred=False) if name == "a binary" else encoded(serial, value)
        yield Hostile(f"AMQP value: {name}", serial, data, body)
    for name, raw in _SECTIONS.items():
        serial = new_serial()
        yield Hostile(f"AMQP body: {name}", serial, _head(serial) + raw)


# -- by hand: sections of bytes --------------------------------------------------------------------------------------


def section(code: int, value: bytes) -> bytes:
    """A section."""
    return b"\0\x53" + bytes((code,)) + value


def binary(data: bytes) -> bytes:
    """A binary with a long length."""
    return b"\xb0" + struct.pack(">I", len(data)) + data


def text(data: bytes) -> bytes:
    """A string with a long length, of any bytes."""
    return b"\xb1" + struct.pack(">I", len(data)) + data


def _compound(code: int, count: int, content: bytes) -> bytes:
    return bytes((code,)) + struct.pack(">II", len(content) + 4, count) + content


def list_(*items: bytes) -> bytes:
    """A list."""
    return _compound(0xD0, len(items), b"".join(items))


def map_(*items: bytes) -> bytes:
    """A map of keys and values in turn."""
    return _compound(0xD1, len(items), b"".join(items))


NULL, TRUE = b"\x40", b"\x41"


def _ulong(value: int) -> bytes:
    return b"\x80" + struct.pack(">Q", value)


def _time(value: int) -> bytes:
    return b"\x83" + struct.pack(">q", value)


def _properties(serial: str, more: tuple[bytes, ...] = ()) -> bytes:
    return section(0x74, map_(text(b"serial"), text(serial.encode()), *more))


def _head(serial: str) -> bytes:
    identity = section(0x73, list_(text(serial.encode()), *[NULL] * 5, b"\xa3\x10application/json"))
    return section(0x70, list_(TRUE)) + identity + _properties(serial)


_DATA = section(0x75, binary(GOOD))
_SECTIONS: dict[str, bytes] = {
    "none": b"",
    "a sequence": section(0x76, list_(b"\x54\x01", text(b"x"))),
    "sequences": section(0x76, list_(TRUE)) * 3,
    "an empty sequence": section(0x76, b"\x45"),
    "several Data sections": section(0x75, binary(b'{"id"')) + section(0x75, binary(b": 7}")),
    "a hundred Data sections": b"".join(section(0x75, binary(b" ")) for _ in range(100)) + _DATA,
    "empty Data": section(0x75, b"\xa0\0"),
    "a deep list": section(0x77, functools.reduce(lambda inner, _: list_(inner), range(200), NULL)),
    "a deep map": section(0x77, functools.reduce(lambda inner, _: map_(NULL, inner), range(200), NULL)),
    "many empty lists": section(0x77, list_(*[b"\x45"] * 50_000)),
    "an empty map": section(0x77, map_()),
}

_BROKEN: dict[str, bytes] = {
    "Data with a text": section(0x75, text(b"{}")),
    "two kinds of body": _DATA + section(0x77, text(b"{}")),
    "Data cut off": section(0x75, b"\xb0\0\0\xff\xff" + GOOD),
    "an unknown section": section(0x79, NULL) + _DATA,
    "a section of no type": section(0x77, b"\x0f"),
    "a list that lies": section(0x77, b"\xd0\0\0\0\x08\xff\xff\xff\xff\x40\x40\x40\x40"),
    "a list longer than all": section(0x77, b"\xd0\xff\xff\xff\xff\0\0\0\x01\x40"),
    "a map without a value": section(0x77, map_(TRUE)),
    "described for ever": section(0x77, b"\0" * 5000),
    "described values in a row": section(0x77, b"\0\x40" * 100_000 + NULL),
    "a list in a list in a list": section(0x77, functools.reduce(lambda inner, _: list_(inner), range(3000), NULL)),
    "text that is not UTF-8": section(0x77, text(b"\xff\xfe")),
    "a footer alone": section(0x78, map_()),
}


def _ids() -> Iterator[tuple[str, bytes]]:
    yield "none", NULL
    yield "a ulong", _ulong(2**64 - 1)
    yield "a UUID", b"\x98" + bytes(range(16))
    yield "a binary", b"\xa0\x04\xff\0\n:"
    yield "empty", text(b"")
    yield "empty binary", b"\xa0\0"
    yield "with lines", text(b"a\nb\r\nc:d\\n")
    yield "with NUL", text(b"a\0b")
    yield "60 KB", text(b"i" * 60_000)
    yield "a number", b"\x81" + struct.pack(">q", -1)
    yield "a boolean", TRUE
    yield "a list", list_(NULL)


def _fields() -> Iterator[Hostile]:
    """Properties and header fields of odd types and sizes."""
    for name, value in _ids():
        serial = new_serial()
        yield Hostile(
            f"AMQP id: {name}", serial, section(0x73, list_(value)) + _properties(serial) + _DATA, GOOD,
            alone=name in ("a number", "a boolean", "a list"),
        )  # fmt: skip
    odd: dict[str, tuple[bytes, ...]] = {
        "created in 292 million years": (*[NULL] * 9, _time(_FAR)),
        "created before the world": (*[NULL] * 9, _time(-_FAR)),
        "expired in 1970": (*[NULL] * 8, _time(1)),
        "expired before 1970": (*[NULL] * 8, _time(-1)),
        "expires in 292 million years": (*[NULL] * 8, _time(_FAR)),
        "a huge group": (*[NULL] * 10, text(b"g" * 60_000)),
        "a group sequence": (*[NULL] * 11, b"\x70\xff\xff\xff\xff"),
        "a content encoding": (*[NULL] * 7, b"\xa3\x04gzip"),
        "a content type of 2000": (*[NULL] * 6, b"\xb3" + struct.pack(">I", 2000) + b"t" * 2000),
        "a user of bytes": (NULL, b"\xa0\x03\xff\0\xfe"),
        "an address": (NULL, NULL, text(b"somewhere/else"), text(b"subject"), text(b"reply"), text(b"correlation")),
        "a correlation of bytes": (*[NULL] * 5, b"\xa0\x02\xff\0"),
        "a subject with NUL": (NULL, NULL, NULL, text(b"a\0b\nc")),
    }
    for name, fields in odd.items():
        serial = new_serial()
        ours = section(0x73, list_(text(serial.encode()), *fields[1:]))
        yield Hostile(f"AMQP field: {name}", serial, ours + _properties(serial) + _DATA, GOOD)
    for name, header in {
        "time to live 0": list_(TRUE, NULL, b"\x43"),
        "time to live 2**32-1": list_(TRUE, NULL, b"\x70\xff\xff\xff\xff"),
        "time to live 1": list_(TRUE, NULL, b"\x52\x01"),
        "priority 255": list_(TRUE, b"\x50\xff"),
        "delivery count 2**32-1": list_(TRUE, NULL, NULL, NULL, b"\x70\xff\xff\xff\xff"),
        "delivery count 7": list_(TRUE, NULL, NULL, b"\x42", b"\x52\x07"),
        "not durable": list_(b"\x42"),
        "an empty list": b"\x45",
    }.items():
        serial = new_serial()
        identity = section(0x73, list_(text(serial.encode())))
        data = section(0x70, header) + identity + _properties(serial) + _DATA
        yield Hostile(f"AMQP header: {name}", serial, data, GOOD)


def _application_properties() -> Iterator[Hostile]:
    """Keys and values that our headers cannot be."""
    pairs: dict[str, tuple[bytes, ...]] = {
        "10000 of them": tuple(text(b"%s%d" % (part, n)) for n in range(10_000) for part in (b"k", b"v")),
        "a value of 50 KB": (text(b"long"), text(b"v" * 50_000)),
        "a value of 1 MiB": (text(b"long"), text(b"v" * 1024 * 1024)),
        "a key of 60 KB": (text(b"k" * 60_000), text(b"v")),
        "an empty key": (text(b""), text(b"v")),
        "a key with a NUL": (text(b"a\0b"), text(b"v")),
        "a value with a NUL": (text(b"nul"), text(b"a\0b")),
        "a frame in a value": (text(b"nul"), text(b"\0\nRECEIPT\nreceipt-id:r3\n\n\0")),
        "a frame behind a blank line": (text(b"nul"), text(b"x\n\n\0ERROR\nmessage:forged\n\nbody\0")),
        "a key that is a line": (text(b"a:b\nack:forged\nx"), text(b"v")),
        "a key that is a frame": (text(b"a\n\n\0RECEIPT\nreceipt-id:r3\n\n\0"), text(b"v")),
        "the names of a frame": tuple(
            text(part) for name in (b"ack", b"subscription", b"message-id", b"destination", b"redelivered", b"receipt")
            for part in (name, b"forged")
        ),
        "a length": (text(b"content-length"), text(b"3")),
        "numbers": (text(b"a"), _ulong(2**64 - 1), text(b"b"), b"\x82" + struct.pack(">d", float("nan"))),
        "other scalars": (text(b"a"), b"\x98" + bytes(16), text(b"b"), _time(_FAR), text(b"c"), NULL, text(b"d"), TRUE),
        "bytes": (text(b"a"), b"\xa0\x02\xff\0"),
        "a character that is a surrogate": (text(b"odd"), b"\x73\0\0\xd8\0"),
        "a character beyond all": (text(b"odd"), b"\x73\xff\xff\xff\xff"),
        "the same key twice": (text(b"ev_attempt"), text(b"9"), text(b"ev_attempt"), text(b"x")),
        "an attempt that is a number": (text(b"ev_attempt"), b"\x81" + struct.pack(">q", -5)),
        "an id that is a number": (text(b"cloudEvents_id"), b"\x55\x05"),
        "an id that is a boolean": (text(b"cloudEvents_id"), TRUE),
        "an id with NUL": (text(b"cloudEvents_id"), text(b"a\0b")),
    }  # fmt: skip
    for name, more in pairs.items():
        serial = new_serial()
        yield Hostile(
            f"AMQP properties: {name}", serial,
            section(0x73, list_(text(serial.encode()))) + _properties(serial, more) + _DATA, GOOD,
            alone=name.startswith(("a character", "a value of 1 MiB", "10000")),
        )  # fmt: skip
    illegal = {
        "a key of bytes": (binary(b"k"), text(b"v")),
        "a key of a number": (b"\x54\x01", text(b"v")),
        "a list as value": (text(b"k"), list_(TRUE)),
        "a map as value": (text(b"k"), map_(text(b"a"), TRUE)),
        "a key that is not UTF-8": (text(b"\xff\xfe"), text(b"v")),
        "a value that is not UTF-8": (text(b"k"), text(b"\xff\xfe")),
    }
    for name, more in illegal.items():
        serial = new_serial()
        data = section(0x73, list_(text(serial.encode()))) + _properties(serial, more) + _DATA
        yield Hostile(f"AMQP illegal: {name}", serial, data, alone=True)


def _annotations() -> Iterator[Hostile]:
    for name, value in {
        "x-opt-delivery-delay": "x", "x-opt-delivery-time": 2**62, "x-opt-jms-msg-type": byte(99),
        "x-opt-anything": [1], "x-delivery-count": 2**31, "x-last-death-reason": "delivery_limit",
        "x-exchange": "forged", "x-routing-key": "forged",
        "ev_attempt": "9", "x-header": {"a": 1},
    }.items():  # fmt: skip
        serial = new_serial()
        message = Message(body=GOOD, inferred=True, id=serial, durable=True, properties={"serial": serial})
        message.annotations = AnnotationDict({symbol(name): value})
        yield Hostile(f"AMQP annotation: {name}", serial, message.encode(), GOOD, alone=True)


def by_hand() -> list[Hostile]:
    """Each once."""
    return [*_odd_bodies(), *_fields(), *_application_properties(), *_annotations()]


def broken(count: int, seed: int) -> list[Hostile]:
    """What is no AMQP message: by hand, good ones cut off or spoilt somewhere, and random bytes."""
    chance = random.Random(seed)
    found = []
    for name, raw in _BROKEN.items():
        serial = new_serial()
        found.append(Hostile(f"broken AMQP: {name}", serial, _head(serial) + raw, alone=True))
    for number in range(count):
        serial = new_serial()
        good = _head(serial) + _DATA
        if number % 3 == 0:
            data = good[: chance.randrange(1, len(good))]
        elif number % 3 == 1:
            at = chance.randrange(len(good))
            data = good[:at] + bytes((chance.randrange(256),)) + good[at + 1 :]
        else:
            data = chance.randbytes(chance.randrange(1, 60)) + serial.encode()
        found.append(Hostile("broken AMQP: " + ("cut", "spoilt", "random")[number % 3], serial, data, alone=True))
    return found


__all__ = ["broken", "by_hand", "encoded", "ubyte", "uint", "with_bodies", "with_headers"]
