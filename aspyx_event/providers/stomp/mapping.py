"""Envelopes to STOMP headers and bodies, and back. Runs in the callers' and workers' threads."""

from __future__ import annotations

import time
from collections.abc import Mapping

from aspyx_event.envelope import CE_FOREIGN_PREFIX, CE_PREFIX, Envelope
from aspyx_event.providers.brokers.stomp_headers import EXPIRES as EXPIRES
from aspyx_event.providers.brokers.stomp_headers import HIDDEN, by_name, hidden
from aspyx_event.providers.brokers.stomp_headers import transport_header as transport_header

CONTENT_TYPE, CONTENT_LENGTH = "content-type", "content-length"
# An AMQP sender's content type, as Artemis hands it to STOMP readers.
_CONTENT_TYPES = (CONTENT_TYPE, "JMS_AMQP_ContentType", "_AMQ_CONTENT_TYPE")


def encode_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an envelope as STOMP headers. Keys and values are escaped when the frame is written.

    A NUL, which would end the frame, becomes U+FFFD: it can only come from a foreign message.
    """
    return {_sent_under(key): value.replace("\0", "\ufffd") for key, value in headers.items()}


@by_name
def _sent_under(key: str) -> str:
    return hidden(key).replace("\0", "\ufffd")


def decode_headers(frame: Mapping[str, str]) -> dict[str, str]:
    """The envelope's headers out of a MESSAGE frame's."""
    return {name: value for key, value in frame.items() if (name := _sent_as(key)) is not None}


@by_name
def _sent_as(key: str) -> str | None:
    """The name that a header had in the envelope; None: it is none of the envelope's."""
    if key.startswith(HIDDEN):
        return key[len(HIDDEN) :]
    if key == EXPIRES or transport_header(key):
        return None
    return CE_PREFIX + key[len(CE_FOREIGN_PREFIX) :] if key.startswith(CE_FOREIGN_PREFIX) else key


def content_headers(content_type: str | None, body: bytes, *, text: bool) -> dict[str, str]:
    """``content-type`` and ``content-length``.

    text: leave the length out where the body is text, so that JMS clients of the broker see a TextMessage. A NUL would
    end such a body, and bytes that are not UTF-8 would be replaced.
    """
    headers = {CONTENT_TYPE: content_type} if content_type else {}
    if not (text and is_text(body)):
        headers[CONTENT_LENGTH] = str(len(body))
    return headers


def is_text(body: bytes) -> bool:
    """Whether the bytes survive as a text."""
    if b"\0" in body:
        return False
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def content_type_of(frame: Mapping[str, str]) -> str | None:
    """The content type that the sender gave."""
    for key in _CONTENT_TYPES:
        found = frame.get(key)
        if found:
            return found
    return None


def decode(
    frame: Mapping[str, str], body: bytes, *, native_id: str | None, expires_at: float | None, delivery_count: int
) -> Envelope:
    """The envelope of a received message."""
    return Envelope(
        body,
        decode_headers(frame),
        content_type=content_type_of(frame),
        native_id=native_id,
        expires_at=expires_at,
        delivery_count=delivery_count,
    )


def milliseconds(seconds: float) -> int:
    """A delay or time to live for the broker, at least 1 ms."""
    return max(1, round(seconds * 1000))


def expiry_of(frame: Mapping[str, str], header: str) -> float | None:
    """The Unix time in a header that holds milliseconds; None for zero, nothing, or no number."""
    value = frame.get(header, "")
    if not (value.isascii() and value.isdigit()):
        return None
    return int(value[:16]) / 1000 or None


def expiry(ttl: float) -> str:
    """When something sent now expires, in milliseconds."""
    return str(round((time.time() + ttl) * 1000))
