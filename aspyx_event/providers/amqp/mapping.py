"""Envelopes to AMQP messages and back. Runs in the callers' and workers' threads, never on the I/O thread."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from typing import Any, Optional

from aspyx_event.envelope import CE_CORRELATION_ID, CE_FOREIGN_PREFIX, CE_PREFIX, Envelope
from aspyx_event.providers.amqp import sections as s
from aspyx_event.providers.amqp import wire
from aspyx_event.providers.amqp.wire import Described, WireError
from aspyx_event.providers.brokers.rabbitmq import longest_wait, worn_out
from aspyx_event.providers.brokers.stomp_headers import EXPIRES, HIDDEN, hidden, transport_header

DELAY = "x-opt-delivery-delay"
OCTETS = "application/octet-stream"

# What Artemis leaves in the application properties of a message that a STOMP client sent: none of it is the sender's
# own. An AMQP sender's header of such a name (`priority`) is.
_TRANSPORT_HEADERS = frozenset({
    "destination", "destination-type", "content-length", "content-type", "receipt", "receipt-id", "persistent",
    "expires", "priority", "message-id", "subscription", "redelivered", "ack", "id", "reply-to", "correlation-id",
    "timestamp", "transaction", "heart-beat", "selector",
})  # fmt: skip
_CONVERTED = "JMSXDeliveryCount"  # on every message that Artemis converted from another protocol
_FROM_STOMP = frozenset({"content-length", "receipt"})  # on RabbitMQ there is one of them, and no other header to drop
_FROM_RABBITMQ = "x-exchange"
_RABBITMQS_OWN = ("x-exchange", "x-routing-key", "x-basic-priority", "x-basic-type")
_DELIVERIES = "x-delivery-count"
_TRANSPORT_PREFIXES = (
    "_AMQ_",
    "JMS",
    "NATIVE_",
    "x-opt-",
    "AMQ_",
    "__AMQ",
    "__HDR",
    "x-death",
    "x-first-death",
    "x-last-death",
)
_CONTENT_TYPE_OF_STOMP = ("_AMQ_CONTENT_TYPE", "JMS_AMQP_ContentType", "content-type")
_CONTENT_TYPE = re.compile(r"[\x20-\x7e]+")


def encode(envelope: Envelope, *, subject: str, durable: bool, rabbitmq: bool = False) -> bytes:
    """The message that an event is sent as. ``rabbitmq``: as RabbitMQ needs it, see ``_for_rabbitmq``."""
    headers = envelope.wire_headers
    now = time.time()
    expires_at = None if envelope.ttl is None else now + envelope.ttl
    annotations = ((DELAY, round(envelope.delay * 1000)),) if envelope.delay and not rabbitmq else ()
    return s.join(
        s.Outgoing(
            durable=durable,
            ttl=longest_wait(envelope.delay) if envelope.delay and rabbitmq else envelope.ttl,
            message_id=envelope.id or None,
            subject=subject,
            correlation_id=headers.get(CE_CORRELATION_ID),
            content_type=envelope.content_type,
            absolute_expiry=expires_at,
            creation_time=now,
            headers=_for_rabbitmq(headers, expires_at) if rabbitmq else headers,
            annotations=annotations,
        ),
        s.data_section(envelope.body),
    )


def _for_rabbitmq(headers: Mapping[str, str], expires_at: float | None) -> dict[str, str]:
    """Headers that RabbitMQ can hand to STOMP readers, whom it does not tell when a message expires.

    It knows no delays either: a message waits in a queue with a time limit, and tells the broker of no delay, nor of
    when it expires, with which it might leave that queue too early.
    """
    found = {hidden(key): value for key, value in headers.items()}
    if expires_at is not None:
        found[EXPIRES] = str(round(expires_at * 1000))
    return found


def decode(data: bytes, *, received_at: float) -> Envelope:
    """The envelope of a received message. Never raises: what cannot be read is said in ``unreadable``."""
    try:
        found = s.split(data)
    except WireError as error:
        return Envelope(data, content_type=None, unreadable=f"no AMQP message: {error}")
    headers = _headers(found)
    content_type = _content_type(found)
    body, unreadable = _body(found)
    return Envelope(
        body,
        headers,
        content_type=content_type,
        native_id=_id_text(found.of_properties(s.MESSAGE_ID)),
        expires_at=_expires_at(found, received_at),
        delivery_count=_number(found.of_header(s.DELIVERY_COUNT)) or 0,
        unreadable=unreadable,
    )


def copy(
    data: bytes,
    headers: Mapping[str, str],
    *,
    durable: bool | None,
    keep_expiry: bool,
    delay: float,
    rabbitmq: bool = False,
) -> bytes:
    """A copy with the original body sections, content type and message id, and exactly ``headers``.

    durable None keeps the original's. An original that is no AMQP message travels as one Data section of its bytes.
    rabbitmq: as RabbitMQ needs it, see ``_for_rabbitmq``.
    """
    annotations = ((DELAY, max(1, round(delay * 1000))),) if delay > 0 and not rabbitmq else ()
    now = time.time()
    try:
        found = s.split(data)
    except WireError:
        raw = s.Outgoing(
            durable=durable is not False,
            content_type=OCTETS,
            creation_time=now,
            headers=_for_rabbitmq(headers, None) if rabbitmq else headers,
            annotations=annotations,
            ttl=longest_wait(delay) if delay > 0 and rabbitmq else None,
        )
        return s.join(raw, s.data_section(data))
    expires_at = _expires_at(found, now) if keep_expiry else None
    return s.join(
        s.Outgoing(
            durable=bool(found.of_header(s.DURABLE)) if durable is None else durable,
            ttl=longest_wait(delay) if delay > 0 and rabbitmq else _left(expires_at, now),
            message_id=found.of_properties(s.MESSAGE_ID),
            subject=_text(found.of_properties(s.SUBJECT)),
            correlation_id=found.of_properties(s.CORRELATION_ID),
            content_type=_content_type(found),
            absolute_expiry=expires_at,
            creation_time=_seconds(found.of_properties(s.CREATION_TIME)),
            headers=_for_rabbitmq(headers, expires_at) if rabbitmq else headers,
            annotations=annotations,
        ),
        found.body,
    )


def _left(expires_at: float | None, now: float) -> float | None:
    return None if expires_at is None else max(0.001, expires_at - now)


def persistent(data: bytes) -> bool:
    """Whether a received message survives a restart of the broker. What is no AMQP message is taken to."""
    try:
        return bool(s.split(data).of_header(s.DURABLE))
    except WireError:
        return True


def acquisitions(data: bytes) -> int:
    """How often RabbitMQ says that a message was taken from its quorum queue and came back, for whatever reason."""
    try:
        return next((_number(value) or 0 for key, value in s.split(data).annotations if key == _DELIVERIES), 0)
    except WireError:
        return 0


def _headers(found: s.Sections) -> dict[str, str]:
    headers: dict[str, str] = {}
    properties = found.application_properties
    annotations = {str(key): value for key, value in found.annotations if isinstance(key, str)}
    rabbitmq = _FROM_RABBITMQ in annotations
    if rabbitmq:  # a STOMP sender's x-headers become annotations there
        own = [(key, value) for key, value in annotations.items() if _is_header(key)]
        properties = [*properties, *own]
    foreign = _FROM_STOMP if rabbitmq else frozenset()
    if any(key == _CONVERTED for key, _ in properties):
        foreign = _TRANSPORT_HEADERS
    for key, value in properties:
        if type(key) is str and type(value) is str and key.startswith(CE_PREFIX):
            headers[key] = value  # the most of them, and none of those below
            continue
        if not isinstance(key, str) or key in foreign or key == EXPIRES or key.startswith(_TRANSPORT_PREFIXES):
            continue
        text = _header_text(value)
        if text is None:
            continue
        if key.startswith(CE_FOREIGN_PREFIX):
            headers.setdefault(CE_PREFIX + key[len(CE_FOREIGN_PREFIX) :], text)
        else:
            headers[key[len(HIDDEN) :] if key.startswith(HIDDEN) else str(key)] = text
    for name, text in worn_out(annotations).items():
        headers.setdefault(name, text)
    return headers


def _is_header(annotation: str) -> bool:
    return annotation.startswith("x-") and not transport_header(annotation) and annotation not in _RABBITMQS_OWN


def _header_text(value: Any) -> str | None:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, uuid.UUID)):
        return str(value)
    return None


def _content_type(found: s.Sections) -> Optional[str]:
    own = _text(found.of_properties(s.CONTENT_TYPE))
    if own:
        return own
    named = {key: value for key, value in found.application_properties if key in _CONTENT_TYPE_OF_STOMP}
    for key in _CONTENT_TYPE_OF_STOMP:
        value = named.get(key)
        if isinstance(value, str) and _CONTENT_TYPE.fullmatch(value):
            return str(value)
    return None


_KINDS: tuple[tuple[type, str], ...] = (
    (Described, "a described value"),
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a float"),
    (uuid.UUID, "a UUID"),
)


def _body(found: s.Sections) -> tuple[bytes, str | None]:
    if found.body_kind is None:
        return b"", "the message has no body section"
    if found.body_kind == s.SEQUENCE:
        return b"", "the body is an AMQP sequence, not JSON bytes or text"
    content = s.content_of(found.body)
    if content is not None:
        return content, None
    try:
        values = s.body_values(found.body)
    except WireError as error:
        return b"", f"the body section is broken: {error}"
    if found.body_kind == s.DATA:
        if all(isinstance(value, bytes) for value in values):
            return b"".join(values), None
        return b"", "a Data section holds no binary"
    value = values[0] if len(values) == 1 else None
    if isinstance(value, bytes):
        return value, None
    if isinstance(value, str):
        return value.encode("utf-8"), None
    return b"", f"the body is {_kind(found.body, value)}, not JSON bytes or text"


def _kind(body: bytes, value: Any) -> str:
    for type_, name in _KINDS:
        if isinstance(value, type_):
            return name
    code = body[wire.end_of_value(body, 1)]
    if code in (0xC1, 0xD1):
        return "a map"
    if isinstance(value, list):
        return "a list"
    return {0x40: "null", 0xE0: "an array", 0xF0: "an array"}.get(code, "an AMQP value of another kind")


def _expires_at(found: s.Sections, received_at: float) -> float | None:
    absolute = _seconds(found.of_properties(s.ABSOLUTE_EXPIRY))
    if absolute:
        return absolute
    named = None
    for key, value in found.application_properties:
        if key == EXPIRES:
            named = value
            break
    if isinstance(named, str) and named.isascii() and named.isdigit():
        return int(named[:16]) / 1000 or None
    ttl = _seconds(found.of_header(s.TTL))
    if not ttl:
        return None
    created = _seconds(found.of_properties(s.CREATION_TIME))
    return (created or received_at) + ttl


def _seconds(milliseconds: Any) -> float | None:
    number = _number(milliseconds)
    return None if number is None else number / 1000


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str) else None


def _id_text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.hex()
    return None if value is None or isinstance(value, (list, Described)) else str(value)
