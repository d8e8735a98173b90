"""Hostile STOMP frames: lines that break their header, lengths that lie, and escapes that do not exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.faults.hostile import headers as forged
from tests.faults.hostile.bodies import GOOD
from tests.faults.hostile.message import Body, Hostile, new_serial
from tests.faults.hostile.stomp_sender import Header, escaped, frame

_JSON: Header = (b"content-type", b"application/json")


def _serial(serial: str) -> Header:
    return b"serial", serial.encode()


def with_bodies(bodies: Iterable[Body]) -> Iterator[Hostile]:
    """Each body with its length."""
    for body in bodies:
        serial = new_serial()
        headers = [_serial(serial)]
        if body.content_type is not None:
            headers.append((b"content-type", escaped(body.content_type)))
        yield Hostile(body.kind, serial, frame(headers, body.data), body.data)


def with_headers(sets: Iterable[tuple[str, forged.Headers]]) -> Iterator[Hostile]:
    """Each set of headers on a good body, escaped as they should be."""
    for kind, headers in sets:
        serial = new_serial()
        pairs = [(escaped(key), escaped(value)) for key, value in headers.items()]
        lost = any("\0" in key or "\0" in value for key, value in headers.items())  # it ends the frame
        alone = lost or any(key in _MEANINGFUL or key.startswith(_MEANINGFUL_PREFIXES) for key in headers)
        yield Hostile(kind, serial, frame([_serial(serial), _JSON, *pairs], GOOD), GOOD, alone=alone)


_MEANINGFUL = {"transaction", "receipt", "selector", "transformation", "", "content-length", "expiration", "ack", "id"}
_MEANINGFUL_PREFIXES = ("x-", "AMQ_", "_AMQ_", "JMS", "ev_header_", "message-id", "reply-to", "user-id", "CC", "BCC")

_LINES: dict[str, tuple[Header, ...]] = {
    "a colon in a value": ((b"x", b"a:b:c"),),
    "a carriage return in a value": ((b"x", b"a\rb"),),
    "a carriage return in a key": ((b"a\rb", b"v"),),
    "a line in a value": ((b"x", b"a\nack:forged"),),
    "a line without a colon": ((b"x", b"a\nno header at all"),),
    "a backslash at the end": ((b"x", b"a\\"),),
    "an undefined escape": ((b"x", b"a\\tb"),),
    "another undefined escape": ((b"x", b"\\x41\\0"),),
    "an undefined escape in a key": ((b"a\\tb", b"v"),),
    "an escaped line in a key": ((b"a\\nack\\cforged", b"v"),),
    "an escaped return in a value": ((b"x", b"a\\r\\nb"),),
    "an empty key": ((b"", b"v"),),
    "an empty value": ((b"x", b""),),
    "blanks": ((b" x ", b" v "),),
    "not UTF-8": ((b"x", b"\xff\xfe"),),
    "a key that is not UTF-8": ((b"\xff", b"v"),),
    "overlong UTF-8": ((b"x", b"\xc0\x80"),),
    "a surrogate in UTF-8": ((b"x", b"\xed\xa0\x80"),),
    "control characters": ((b"x", bytes(range(1, 10)) + b"\x1b[2J\x7f"),),
    "a NUL in a value": ((b"x", b"a\0b"),),
    "a NUL in a key": ((b"a\0b", b"v"),),
    "a frame in a value": ((b"x", b"a\n\n\0SEND\ndestination:nowhere\n\nforged\0"),),
    "a header twice": ((b"x", b"1"), (b"x", b"2")),
    "an attempt twice": ((b"ev_attempt", b"5"), (b"ev_attempt", b"1")),
    "an error queue twice": ((b"ev_error_queue", b"a"), (b"ev_error_queue", b"b")),
    "another receipt": ((b"receipt", b"forged"),),
    "another destination": ((b"destination", b"nowhere"),),
    "a message id": ((b"message-id", b"forged"),),
    "an ack and a subscription": ((b"ack", b"forged"), (b"subscription", b"c1"), (b"id", b"c1")),
    "a transaction": ((b"transaction", b"none"),),
    "an expiry in the past": ((b"expires", b"1"),),
    "an expiry that is none": ((b"expires", b"soon"),),
    "a time to live that is none": ((b"expiration", b"soon"),),
    "a priority of 255": ((b"priority", b"255"),),
    "a priority that is none": ((b"priority", b"x"),),
    "not persistent": ((b"persistent", b"maybe"),),
    "a correlation": ((b"correlation-id", b"a\\nb"), (b"reply-to", b"/queue/x")),
    "a group": ((b"JMSXGroupID", b"g" * 5000), (b"_AMQ_GROUP_ID", b"g")),
    "a value of 50 KB": ((b"long", b"v" * 50_000),),
    "a value of 1 MiB": ((b"long", b"v" * 1024 * 1024),),
    "a key of 5 KB": ((b"k" * 5000, b"v"),),
    "80 headers": tuple((b"h%d" % n, b"v") for n in range(80)),
    "10000 headers": tuple((b"h%d" % n, b"v") for n in range(10_000)),
    "headers of 100 KB": tuple((b"h%d" % n, b"v" * 2000) for n in range(50)),
}


def by_hand() -> list[Hostile]:
    """Each once, alone: most of them end the connection on some broker."""
    found = []
    for name, lines in _LINES.items():
        serial = new_serial()
        found.append(Hostile(f"STOMP lines: {name}", serial, frame([_serial(serial), _JSON, *lines], GOOD), alone=True))
    for name, length in {"too long": b"100000", "too short": b"5", "negative": b"-1", "no number": b"x",
                         "0": b"0", "10**30": b"1" + b"0" * 30, "blank": b" ",
                         "in two": b"5\ncontent-length:6"}.items():  # fmt: skip
        serial = new_serial()
        data = frame([_serial(serial), _JSON], GOOD, length=length)
        found.append(Hostile(f"STOMP length: {name}", serial, data, alone=True))
    for name, data in {
        "no body": b"\n", "no blank line": b"", "return and line": b"\r\n", "a body behind a NUL": b"\n{}\0more",
        "two frames in one": b"\n{}\0\n\n\nSEND\ndestination:nowhere\n\n",
    }.items():  # fmt: skip
        serial = new_serial()
        found.append(Hostile(f"STOMP end: {name}", serial, b"serial:%s\n" % serial.encode() + data, alone=True))
    for name, body in {"text": GOOD, "not UTF-8": b'{"id": "\xff"}', "empty": b""}.items():
        serial = new_serial()
        data = frame([_serial(serial), _JSON], body, length=None)
        found.append(Hostile(f"STOMP length: none, {name}", serial, data))
    return found
