"""The envelope: an event's body and headers on their way, and the names of the headers.

Attributes follow CloudEvents 1.0 in binary mode: over AMQP they are application properties with the prefix
``cloudEvents_`` (CloudEvents AMQP protocol binding 1.0.2, section 3.1.3.1), over STOMP headers of the same names.
"""

from __future__ import annotations

import contextvars
import re
import time
from collections.abc import Mapping
from typing import Any, Optional, Protocol

from aspyx_event.exceptions import CodecError, ConfigurationError, LifecycleError

JSON = "application/json"

CE_PREFIX = "cloudEvents_"
CE_FOREIGN_PREFIX = "cloudEvents:"
CE_ID = "cloudEvents_id"
CE_SOURCE = "cloudEvents_source"
CE_TYPE = "cloudEvents_type"
CE_SPECVERSION = "cloudEvents_specversion"
CE_TIME = "cloudEvents_time"
CE_CORRELATION_ID = "cloudEvents_correlationid"
CE_CAUSATION_ID = "cloudEvents_causationid"
CE_PARTITION_KEY = "cloudEvents_partitionkey"
CE_TRACEPARENT = "cloudEvents_traceparent"

EV_PREFIX = "ev_"
EV_ATTEMPT = "ev_attempt"

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_MAX_ATTEMPT_DIGITS = 9
_SHOWN = 100
_UNBOUND = "this envelope is not on its way through a manager: there is nothing to proceed to"


def check_header(key: Any, value: Any) -> None:
    """Refuse what cannot travel as a user's header over both AMQP and STOMP.

    Raises TypeError for a key or value that is no str, ConfigurationError for a key or value that is one but cannot
    be sent: STOMP does not escape keys (a colon or newline there injects headers), and a NUL ends its frame.
    """
    if not isinstance(key, str) or not isinstance(value, str):
        raise TypeError(f"header {key!r}: key and value are str, not {type(key).__name__} and {type(value).__name__}")
    if not _KEY.fullmatch(key):
        raise ConfigurationError(
            f"header key {key!r}: start with a letter or '_', go on with letters, digits, '_', '.', '-'; "
            "a colon, a newline or a blank cannot be sent safely over STOMP"
        )
    if key.startswith((CE_PREFIX, EV_PREFIX)):
        raise ConfigurationError(f"header key {key!r}: the prefixes 'cloudEvents_' and 'ev_' belong to the library")
    if "\0" in value:
        raise ConfigurationError(f"header {key!r}: its value holds a NUL, which ends a STOMP frame")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"header {key!r}: its value holds a lone surrogate, which UTF-8 cannot carry"
        ) from None


def shown(text: str) -> str:
    """An id or a name that somebody else chose, for a log line: one line, printable, not too long."""
    cut = text[:_SHOWN]
    printable = cut if cut.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in cut)
    return printable if len(text) <= _SHOWN else f"{printable}... ({len(text)} characters)"


class Chain(Protocol):
    """The pipelines around one envelope; the envelope knows its position in it."""

    def next_send(self, envelope: Envelope, descriptor: Any, position: int) -> None:
        """Call the pipeline at ``position``, or send."""

    def next_handle(self, envelope: Envelope, descriptor: Any, position: int) -> None:
        """Call the pipeline at ``position``, or the listener."""


class Envelope:
    """One event on its way: body, headers, and the event itself. Belongs to one thread at a time."""

    __slots__ = (
        "_chain",
        "_headers",
        "_position",
        "answers",
        "body",
        "content_type",
        "delay",
        "delivery_count",
        "event",
        "expires_at",
        "native_id",
        "ttl",
        "unreadable",
    )

    def __init__(
        self,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        content_type: str | None = JSON,
        event: Any = None,
        native_id: str | None = None,
        delay: float | None = None,
        ttl: float | None = None,
        expires_at: float | None = None,
        delivery_count: int = 0,
        unreadable: str | None = None,
    ) -> None:
        self.body = body
        self.content_type = content_type
        self.event = event
        self.native_id = native_id
        """The message id the broker or a foreign sender gave; None on an event of ours that is yet to be sent."""
        self.delay = delay
        self.ttl = ttl
        self.expires_at = expires_at
        """Unix time after which it must not be handled any more; None: never."""
        self.delivery_count = delivery_count
        """How often the broker says it was delivered before and failed, without our knowing."""
        self.unreadable = unreadable
        """Why the body is none that could be decoded (an AMQP map, a broken section); None: it can."""
        self.answers: Optional[list[Any]] = None
        """On its way to a provider: the confirmations of what was sent of it. For the sender."""
        self._headers: dict[str, str] = dict(headers) if headers else {}
        self._chain: Optional[Chain] = None
        self._position = 0

    @property
    def id(self) -> str:
        """The CloudEvents id, which stays the same over retries, the error queue and replay.

        A foreign message without one is known by its native message id.
        """
        return self._headers.get(CE_ID) or self.native_id or ""

    @property
    def key(self) -> str | None:
        """The key given to ``send_event``: events of one key are handled one after the other."""
        return self._headers.get(CE_PARTITION_KEY)

    @property
    def attempt(self) -> int:
        """Number of the handling attempt, from 1. A header that is no such number counts as 1."""
        value = self._headers.get(EV_ATTEMPT)
        if value is not None and value.isascii() and value.isdigit():
            return max(1, int(value[:_MAX_ATTEMPT_DIGITS]))
        return 1

    @property
    def expired(self) -> bool:
        """Whether its time to live is over."""
        return self.expired_at(time.time())

    def expired_at(self, now: float) -> bool:
        """Whether its time to live is over at a Unix time. For the dispatcher, which has a clock of its own."""
        return self.expires_at is not None and now >= self.expires_at

    @property
    def headers(self) -> dict[str, str]:
        """The user's headers: a copy without CloudEvents attributes and delivery bookkeeping."""
        return {k: v for k, v in self._headers.items() if not k.startswith((CE_PREFIX, EV_PREFIX))}

    @property
    def wire_headers(self) -> dict[str, str]:
        """All headers as they travel. For providers and the dispatcher."""
        return self._headers

    def get_body(self) -> str:
        """The body as text. Raises CodecError when it is none."""
        if self.unreadable:
            raise CodecError(f"the body cannot be read: {self.unreadable}")
        try:
            return self.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise CodecError(f"the body is not UTF-8: {error.reason} at byte {error.start}") from error

    def set(self, key: str, value: str) -> None:
        """Set a user's header. Raises TypeError (not a str) or ConfigurationError (cannot travel)."""
        check_header(key, value)
        self._headers[key] = value

    def get(self, key: str, default: str | None = None) -> str | None:
        """A header's value, of the user's or any other: ``get("tenant")``, ``get("cloudEvents_source")``."""
        return self._headers.get(key, default)

    def bind(self, chain: Chain) -> None:
        """Put the envelope at the beginning of a chain of pipelines."""
        self._chain = chain
        self._position = 0

    def proceed_send(self, descriptor: Any) -> None:
        """Go on with the next pipeline of the send chain."""
        chain, position = self._chain, self._position
        if chain is None:
            raise LifecycleError(_UNBOUND)
        self._position = position + 1
        try:
            chain.next_send(self, descriptor, position)
        finally:
            self._position = position

    def proceed_handle(self, descriptor: Any) -> None:
        """Go on with the next pipeline of the handle chain."""
        chain, position = self._chain, self._position
        if chain is None:
            raise LifecycleError(_UNBOUND)
        self._position = position + 1
        try:
            chain.next_handle(self, descriptor, position)
        finally:
            self._position = position

    def __repr__(self) -> str:
        what = f"{shown(self._headers.get(CE_TYPE, '?'))} id={shown(self.id)}"
        return f"<Envelope {what} attempt={self.attempt} {len(self.body)} bytes>"


_current: contextvars.ContextVar[Optional[Envelope]] = contextvars.ContextVar("aspyx_event_envelope", default=None)


def current_envelope() -> Envelope | None:
    """The envelope whose listener (or handle pipeline) is running here; None elsewhere."""
    return _current.get()


def set_current_envelope(envelope: Envelope) -> None:
    """For the dispatcher: name the envelope that is being handled in this context."""
    _current.set(envelope)
