"""A message as its sections: found in bytes without touching the body, and put together again."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Optional

from aspyx_event.providers.amqp import wire
from aspyx_event.providers.amqp.wire import WireError

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, PROPERTIES = 0x70, 0x71, 0x72, 0x73
APPLICATION_PROPERTIES, DATA, SEQUENCE, VALUE, FOOTER = 0x74, 0x75, 0x76, 0x77, 0x78

_BODY = (DATA, SEQUENCE, VALUE)
_NAMES = {
    "amqp:header:list": HEADER,
    "amqp:delivery-annotations:map": DELIVERY_ANNOTATIONS,
    "amqp:message-annotations:map": MESSAGE_ANNOTATIONS,
    "amqp:properties:list": PROPERTIES,
    "amqp:application-properties:map": APPLICATION_PROPERTIES,
    "amqp:data:binary": DATA,
    "amqp:amqp-sequence:list": SEQUENCE,
    "amqp:amqp-value:*": VALUE,
    "amqp:footer:map": FOOTER,
}

MESSAGE_ID, SUBJECT, CORRELATION_ID, CONTENT_TYPE, ABSOLUTE_EXPIRY, CREATION_TIME = 0, 3, 5, 6, 8, 9
TO, REPLY_TO = 2, 4

DURABLE, PRIORITY, TTL, FIRST_ACQUIRER, DELIVERY_COUNT = 0, 1, 2, 3, 4


@dataclass
class Sections:
    """One received message. ``body`` is the raw body section or sections, descriptor included."""

    header: Sequence[Any] = ()
    annotations: Sequence[tuple[Any, Any]] = ()
    properties: Sequence[Any] = ()
    application_properties: Sequence[tuple[Any, Any]] = ()
    body: bytes = b""
    body_kind: Optional[int] = None

    def of_header(self, position: int) -> Any:
        """A field of the header, None when it is not there."""
        return self.header[position] if position < len(self.header) else None

    def of_properties(self, position: int) -> Any:
        """A field of the properties, None when it is not there."""
        return self.properties[position] if position < len(self.properties) else None


def split(data: bytes) -> Sections:
    """Read everything but the body. Raises WireError for what is no AMQP message."""
    found = Sections()
    body: list[bytes] = []
    at = 0
    while at < len(data):
        begin = at
        kind, value_at = _section(data, at)
        at = wire.end_of_value(data, value_at)
        if kind in _BODY:
            if found.body_kind not in (None, kind):
                raise WireError("the body has sections of two kinds")
            found.body_kind = kind
            body.append(data[begin:at])
        elif kind == HEADER:
            found.header = _again_and_again(data[value_at:at])
        elif kind == PROPERTIES:
            found.properties = _list(data, value_at, at)
        elif kind == MESSAGE_ANNOTATIONS:
            found.annotations = _again_and_again(data[value_at:at])
        elif kind == APPLICATION_PROPERTIES:
            found.application_properties = _list(data, value_at, at)
    found.body = body[0] if len(body) == 1 else b"".join(body)
    return found


def _section(data: bytes, at: int) -> tuple[int, int]:
    if data[at] != wire.DESCRIBED or at + 2 >= len(data):
        raise WireError("no section begins here")
    if data[at + 1] == 0x53:  # the usual form, without the detour
        kind, value_at = data[at + 2], at + 3
    else:
        descriptor, value_at = wire.read_value(data, at + 1)
        kind = (
            _NAMES.get(descriptor, 0) if isinstance(descriptor, str) else descriptor if type(descriptor) is int else 0
        )
    if not HEADER <= kind <= FOOTER:
        raise WireError("an unknown section")
    return kind, value_at


def _list(data: bytes, at: int, end: int) -> list[Any]:
    if data[at] in wire.LISTS_AND_MAPS:
        value: list[Any] = wire.read_compound(data, at, end)
        return value
    wire.read_value(data, at)  # says what is wrong with it if it is no value at all
    raise WireError("a section is no list or map")


def _again_and_again(raw: bytes) -> Sequence[Any]:
    """The list or map in a section that is the same in most messages of a queue."""
    return _remembered(raw) if len(raw) <= _SHORT else _list(raw, 0, len(raw))


_SHORT = 128
"""Bytes. 256 of these are remembered."""


@functools.lru_cache(maxsize=256)
def _remembered(raw: bytes) -> tuple[Any, ...]:
    return tuple(_list(raw, 0, len(raw)))


def content_of(body: bytes) -> bytes | None:
    """What one Data section holds in the usual form; None when ``body`` is anything else."""
    if body[:3] == _DATA_BEGINS and len(body) > 4:
        if body[3] == 0xA0 and len(body) == 5 + body[4]:
            return body[5:]
        if body[3] == 0xB0 and len(body) == 8 + int.from_bytes(body[4:8], "big"):
            return body[8:]
    return None


_DATA_BEGINS = bytes((wire.DESCRIBED, 0x53, DATA))


def body_values(body: bytes) -> list[Any]:
    """The values of raw body sections: the binaries of Data, the one value of AmqpValue."""
    values, at = [], 0
    while at < len(body):
        value_at = _section(body, at)[1]
        value, at = wire.read_value(body, value_at)
        values.append(value)
    return values


def data_section(content: bytes) -> bytes:
    """One Data section."""
    return wire.described(DATA, wire.binary(content))


def string_value_section(text: str) -> bytes:
    """One AmqpValue section with a string."""
    return wire.described(VALUE, wire.string(text))


class Outgoing(NamedTuple):
    """What a message that we write may carry besides its body. Times in seconds; None leaves a field out."""

    durable: bool = False
    ttl: Optional[float] = None
    delay: float = 0
    message_id: Any = None
    to: Optional[str] = None
    subject: Optional[str] = None
    reply_to: Optional[str] = None
    correlation_id: Any = None
    content_type: Optional[str] = None
    absolute_expiry: Optional[float] = None
    creation_time: Optional[float] = None
    headers: Mapping[str, str] = MappingProxyType({})
    annotations: tuple[tuple[str, int], ...] = ()


_NO_TIME_TO_LIVE = 0xFFFFFFFF


def join(message: Outgoing, body: bytes) -> bytes:
    """A message from its fields and its raw body sections."""
    parts = [_header(message)]
    if message.annotations:
        pairs = [(wire.symbol(key), wire.long(value)) for key, value in message.annotations]
        parts.append(wire.described(MESSAGE_ANNOTATIONS, wire.mapped(pairs)))
    parts.append(_properties(message))
    if message.headers:
        parts.append(wire.described(APPLICATION_PROPERTIES, _texts(message.headers)))
    parts.append(body)
    return b"".join(parts)


def _texts(headers: Mapping[str, str]) -> bytes:
    parts: list[bytes] = []
    for key, value in headers.items():
        parts += wire.known_string(key), wire.string(value)
    return wire.compound_map(len(parts), b"".join(parts))


def _header(message: Outgoing) -> bytes:
    if message.ttl is None:
        return _HEADER[bool(message.durable)]
    ttl = wire.uint(min(max(1, round(message.ttl * 1000)), _NO_TIME_TO_LIVE))
    return wire.described(HEADER, wire.listed([wire.boolean(message.durable), wire.NULL, ttl]))


_HEADER = {durable: wire.described(HEADER, wire.listed([wire.boolean(durable)])) for durable in (False, True)}


def _properties(message: Outgoing) -> bytes:
    null = wire.NULL
    to, subject, reply_to = message.to, message.subject, message.reply_to
    content_type, expiry, created = message.content_type, message.absolute_expiry, message.creation_time
    fields = (
        _message_id(message.message_id),
        null,
        null if to is None else wire.known_string(to),
        null if subject is None else wire.known_string(subject),
        null if reply_to is None else wire.known_string(reply_to),
        null if message.correlation_id is None else _message_id(message.correlation_id),
        null if content_type is None else _content_type(content_type),
        null,
        null if expiry is None else wire.timestamp(expiry),
        null if created is None else wire.timestamp(created),
    )
    return wire.described(PROPERTIES, wire.list_of(len(fields), b"".join(fields)))


def _content_type(value: str) -> bytes:
    return wire.known_symbol(value) if value.isascii() else wire.NULL


def _message_id(value: Any) -> bytes:
    if isinstance(value, str):
        return wire.string(value)
    if isinstance(value, bytes):
        return wire.binary(value)
    if isinstance(value, uuid.UUID):
        return b"\x98" + value.bytes
    if isinstance(value, int) and 0 <= value < 2**64:
        return wire.ulong(value)
    return wire.NULL  # no kind that an id may be of
