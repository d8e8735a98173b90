"""From what a broker or a socket says to our own exceptions."""

from __future__ import annotations

import re

from aspyx_event.exceptions import (
    AttachRefused,
    AuthenticationFailed,
    ConfigurationError,
    EventError,
    ProviderError,
    ProviderUnavailable,
    SendRejected,
)

_CREDENTIALS = re.compile(
    r"password|access refused|access denied for|security error|authenticat|not authori[sz]ed", re.I
)
_VIRTUAL_HOST = re.compile(r"virtual host '[^']*' access denied", re.I)
_CONNECTION_GONE = re.compile(r"AMQ339007|AMQ339008|AMQ339010")
"""Artemis: "connection was destroyed", "has not been established", "is not valid"."""
_BROKER_FAILED = re.compile(r"AMQP channel died")
"""RabbitMQ: a process of its own has ended, as for a quorum queue that another process has only just declared."""
_LONGEST = 300


class ErrorFrame(ProviderError):
    """The broker answered with an ERROR frame. ``text`` is what it said."""

    def __init__(self, text: str) -> None:
        super().__init__(f"the broker answered: {text}")
        self.text = text


class SubscriptionEnded(ProviderUnavailable):
    """The broker ended a subscription, and kept the connection: its queue is gone, or about to be."""


class LinkLost(ProviderUnavailable):
    """The connection ended before the broker answered.

    ``refusal`` is what an ERROR frame said that belonged to no request: maybe ours, maybe another one.
    """

    def __init__(self, message: str, *, refusal: str | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal


def error_text(headers: dict[str, str], body: bytes) -> str:
    """What an ERROR frame says, in one line: its ``message``, and the first line of its body if that says more."""
    message = headers.get("message", "").strip()
    lines = body.decode("utf-8", "replace").strip().splitlines()
    detail = lines[0].strip() if lines else ""
    if detail in message or message in detail:
        message, detail = max(message, detail, key=len), ""
    return ": ".join(part[:_LONGEST] for part in (message, detail) if part) or "an ERROR frame without a text"


def connection_is_gone(text: str) -> bool:
    """Whether an ERROR frame speaks of the connection, which another frame has ended, and not of its own frame."""
    return _CONNECTION_GONE.search(text) is not None


def connect_error(where: str, text: str) -> EventError:
    """The error for a CONNECT that the broker refused."""
    if _VIRTUAL_HOST.search(text):
        return ConfigurationError(f"{where} has no such virtual host for this user ({text}): set virtual_host")
    if _CREDENTIALS.search(text):
        return AuthenticationFailed(
            f"{where} does not accept the credentials: check user, password or client certificate ({text})"
        )
    return ProviderUnavailable(f"{where}: CONNECT refused: {text}")


def attach_error(what: str, error: ProviderError, *, address: str, queue: str | None) -> ProviderError:
    """The error for a queue that cannot be read or created. ``what`` begins the message."""
    text = refusal_of(error)
    return error if text is None else AttachRefused(f"{what}: {text}", address=address, queue=queue)


def refusal_of(error: ProviderError) -> str | None:
    """What the broker said when it refused a request on a connection that carried no other; None: it did not."""
    text = _text_of(error)
    return None if text is None or _BROKER_FAILED.search(text) else text


def broker_failed(error: ProviderError) -> bool:
    """Whether the broker met with an error of its own: the same request may succeed a moment later."""
    return _BROKER_FAILED.search(_text_of(error) or "") is not None


def _text_of(error: ProviderError) -> str | None:
    if isinstance(error, ErrorFrame):
        return error.text
    return error.refusal if isinstance(error, LinkLost) else None


def send_error(destination: str, error: ProviderError, event_id: str | None) -> ProviderError:
    """The error for a message that the broker refused."""
    text = error.text if isinstance(error, ErrorFrame) else str(error)
    return SendRejected(f"{destination}: the broker refused the message: {text}", event_id=event_id)


def as_provider_error(error: BaseException) -> ProviderError:
    """For reports, which carry ProviderErrors only."""
    return error if isinstance(error, ProviderError) else ProviderError(str(error) or type(error).__name__)
