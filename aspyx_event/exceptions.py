"""Every error this library raises, on one page.

::

    EventError
    ├── ConfigurationError      a declaration or an option is wrong; nothing was sent or received
    ├── LifecycleError          the manager is not in a state (or a process, or a thread) that allows the call
    ├── CodecError              an event and its JSON do not fit each other
    ├── SendEventsError         some events of one send_events() call were not confirmed, see ``.failed``
    └── ProviderError           the broker, or the way to it
        ├── ProviderUnavailable     no connection
        ├── SendRejected            the broker refused the event
        ├── SendTimeout             no confirmation in time: the event may or may not be stored
        ├── AuthenticationFailed    the broker does not accept the credentials
        └── AttachRefused           the broker does not let us read or write an address

    Retry, Reject               signals that a listener raises; no errors of the library
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class EventError(Exception):
    """Base of all errors of this library."""


class ConfigurationError(EventError):
    """A declaration or an option is wrong. The message names it and says what to do."""


class LifecycleError(EventError):
    """The call does not fit the manager's state, the calling thread, or the calling process."""


class CodecError(EventError):
    """An event cannot be written as JSON, or a body is not a valid event; the message names the field."""


class ProviderError(EventError):
    """The broker refused something or cannot be reached.

    ``event_id`` is the CloudEvents id of the event concerned, if there is one. Sending the event again with
    ``send_event(event, id=error.event_id)`` keeps it the same event for its receivers.
    """

    def __init__(self, message: str, *, event_id: str | None = None) -> None:
        super().__init__(message)
        self.event_id = event_id


class ProviderUnavailable(ProviderError):
    """There is no connection to the broker."""


class SendRejected(ProviderError):
    """The broker answered that it does not take the event. It is not stored."""


class SendTimeout(ProviderError):
    """The broker did not confirm in time. The event may or may not be stored."""


class AuthenticationFailed(ProviderError):
    """The broker does not accept user, password or certificate. It is not tried again."""


class AttachRefused(ProviderError):
    """The broker does not let this user read from or write to an address.

    ``address`` and ``queue`` name what was asked for; ``queue`` is None for sending.
    """

    def __init__(self, message: str, *, address: str, queue: str | None = None) -> None:
        super().__init__(message)
        self.address = address
        self.queue = queue


class FailedSend(NamedTuple):
    """One event of a ``send_events`` call that was not confirmed."""

    event: Any
    id: str | None
    error: EventError


class SendEventsError(EventError):
    """Some events of one ``send_events`` call were not confirmed.

    ``failed`` lists them as ``(event, id, error)``; all others are confirmed.
    """

    def __init__(self, failed: Sequence[FailedSend], confirmed: int) -> None:
        first = failed[0]
        super().__init__(
            f"{len(failed)} of {len(failed) + confirmed} events were not confirmed; "
            f"the first is {type(first.event).__name__} (id {first.id}): {first.error}"
        )
        self.failed = list(failed)
        self.confirmed = confirmed


class Retry(Exception):
    """Raised by a listener: handle this event again later. Counts as an attempt like any other.

    ``delay`` is in seconds; None takes the delay that the retry policy has for this attempt.
    """

    def __init__(self, message: str = "", *, delay: float | None = None) -> None:
        super().__init__(message or "the listener asked for a retry")
        if delay is not None and not 0 <= delay < float("inf"):
            raise ConfigurationError(f"Retry(delay={delay!r}): the delay is a number of seconds, zero or more")
        self.delay = delay


class Reject(Exception):
    """Raised by a listener: this event can never be handled. It goes to the error queue at once."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "the listener rejected the event")
