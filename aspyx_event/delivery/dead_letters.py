"""The error queue: what is written to it, how it is read, and the way back."""

from __future__ import annotations

import contextlib
import os
import socket
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from aspyx_event.envelope import CE_ID, CE_TYPE, EV_ATTEMPT, EV_PREFIX, Envelope, shown
from aspyx_event.exceptions import ConfigurationError, ProviderError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Delivery, Provider
from aspyx_event.timing import Deadline

ERROR_PREFIX = "ev_error_"
MAX_MESSAGE_BYTES = 2 * 1024
MAX_STACK_BYTES = 16 * 1024

_CONTROL = {code: "\ufffd" for code in (*range(32), 127, *range(0xD800, 0xE000)) if chr(code) not in "\t\n"}


@dataclass(frozen=True)
class DeadLetter:
    """An event in the error queue. ``time`` is RFC 3339 in UTC; ``body`` are the original bytes."""

    id: str
    event: str
    listener: str
    queue: str
    reason: str
    error_type: str
    error_message: str
    error_stack: str
    time: str
    attempts: int
    host: str
    pid: str
    headers: Mapping[str, str]
    body: bytes


def copy_headers(envelope: Envelope) -> dict[str, str]:
    """The headers of a copy: the original's, with a foreign message's native id frozen into the CloudEvents id."""
    headers = dict(envelope.wire_headers)
    if envelope.id:
        headers[CE_ID] = envelope.id
    return headers


def error_headers(
    error: BaseException, *, reason: str, queue: str, listener: EventListenerDescriptor, attempts: int
) -> dict[str, str]:
    """The ``ev_error_*`` headers for an event that failed for good."""
    stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {
        "ev_error_type": f"{type(error).__module__}.{type(error).__qualname__}",
        "ev_error_message": _fitting(text_of(error), MAX_MESSAGE_BYTES),
        "ev_error_stack": _fitting(stack, MAX_STACK_BYTES, tail=True),
        "ev_error_time": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
        "ev_error_queue": queue,
        "ev_error_listener": listener.name,
        "ev_error_attempts": str(attempts),
        "ev_error_reason": reason,
        "ev_error_host": socket.gethostname(),
        "ev_error_pid": str(os.getpid()),
    }


def text_of(error: BaseException) -> str:
    """Its message, also where somebody's ``__str__`` raises."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is somebody's code, in the middle of a settlement
        return "<its message could not be made>"


def _fitting(text: str, limit: int, *, tail: bool = False) -> str:
    """Text that travels as a header: control characters and lone surrogates become U+FFFD, at most ``limit`` bytes."""
    data = text.translate(_CONTROL).encode()
    cut = data[-limit:] if tail else data[:limit]
    return cut.decode("utf-8", "ignore")


def without_error_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for a fresh start: no ``ev_error_*``, and no attempts counted."""
    return {k: v for k, v in headers.items() if not k.startswith(ERROR_PREFIX) and k != EV_ATTEMPT}


def dead_letter(envelope: Envelope) -> DeadLetter:
    """The record of a message in the error queue; what a foreign message lacks is empty."""
    headers = envelope.wire_headers

    def field(name: str) -> str:
        return headers.get(ERROR_PREFIX + name, "")

    attempts = field("attempts")
    return DeadLetter(
        id=envelope.id,
        event=headers.get(CE_TYPE) or field("queue").partition("::")[0],
        listener=field("listener"),
        queue=field("queue"),
        reason=field("reason"),
        error_type=field("type"),
        error_message=field("message"),
        error_stack=field("stack"),
        time=field("time"),
        attempts=int(attempts[:9]) if attempts.isascii() and attempts.isdigit() else 0,
        host=field("host"),
        pid=field("pid"),
        headers={k: v for k, v in headers.items() if not k.startswith(EV_PREFIX)},
        body=envelope.body,
    )


def _destination(envelope: Envelope, readers: Mapping[str, str]) -> str:
    """Where it goes back to. The headers may be forged, and a queue without a reader swallows what it gets."""
    queue = envelope.get("ev_error_queue") or ""
    if queue not in readers:
        raise ConfigurationError(
            f"event {shown(envelope.id)!r} failed in the queue {shown(queue)!r}, which no listener of this registry "
            f"reads: register its listener first; the queues here are {sorted(readers) or 'none'}"
        )
    claimed = envelope.get("ev_error_listener")
    if claimed and claimed != readers[queue]:
        raise ConfigurationError(
            f"event {shown(envelope.id)!r} failed, as its headers say, in listener {shown(claimed)!r} and in the queue "
            f"{queue!r}, which is that of listener {readers[queue]!r}: the headers are forged or damaged, and it stays "
            "where it is; send the event anew"
        )
    return queue


class DeadLetters:
    """Reading the error queue and sending back from it. Thread-safe."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def browse(self, timeout: float) -> Iterator[DeadLetter]:
        """All dead letters, oldest first, none consumed. Raises ProviderError, also where a broker cannot browse."""
        if not self._provider.capabilities.browse:
            raise ProviderError(f"{self._provider!r} cannot read the error queue without consuming it")
        for envelope in self._provider.browse(self._provider.error_queue, timeout=timeout):
            yield dead_letter(envelope)

    def replay(self, event_id: str, readers: Mapping[str, str], timeout: float, *, listener: str | None = None) -> None:
        """Send one back to the queue it failed in. ``readers``: the listener of each queue that it may go to.

        ``listener``: of several with this id, the one that failed in this listener. Raises ConfigurationError when
        there is none, or when it may not go where its headers say.
        """
        deadline = Deadline(timeout)
        with self._taken(event_id, listener, deadline) as delivery:
            envelope = delivery.read()
            queue = _destination(envelope, readers)
            self._copied(delivery, queue, without_error_headers(envelope.wire_headers), event_id, deadline)

    def discard(self, event_id: str, timeout: float, *, listener: str | None = None) -> None:
        """Remove one for good. ``listener`` and errors as for ``replay``."""
        with self._taken(event_id, listener, Deadline(timeout)):
            pass

    @contextlib.contextmanager
    def _taken(self, event_id: str, listener: str | None, deadline: Deadline) -> Iterator[Delivery]:
        """Take one; it is accepted at the end of the block, and stays where it is when that raises."""
        delivery = self._find(event_id, listener, deadline)
        if delivery is None:
            of = "" if listener is None else f" that failed in listener {shown(listener)!r}"
            raise ConfigurationError(
                f"no event with the id {shown(event_id)!r}{of} in the queue {self._provider.error_queue!r}"
            )
        settled = False
        try:
            yield delivery
            delivery.accept()
            settled = True
        finally:
            if not settled:
                delivery.release()

    def _find(self, event_id: str, listener: str | None, deadline: Deadline) -> Delivery | None:
        """An event that failed in two listeners is there twice, and a broker gives the first: it goes to the end."""
        seen = set()
        while True:
            delivery = self._provider.take(self._provider.error_queue, event_id, timeout=deadline.left() or 0.0)
            if delivery is None:
                return None
            envelope = delivery.read()
            found = dead_letter(envelope)
            if listener is None or found.listener == listener:
                return delivery
            try:
                if (found.listener, found.time) in seen:
                    return None
                seen.add((found.listener, found.time))
                self._copied(delivery, self._provider.error_queue, copy_headers(envelope), event_id, deadline)
                delivery.accept()
            finally:
                delivery.release()  # without an effect where it is accepted

    @staticmethod
    def _copied(delivery: Delivery, queue: str, headers: Mapping[str, str], event_id: str, deadline: Deadline) -> None:
        confirmation = delivery.forward(queue, headers)
        try:
            confirmation.result(deadline.left())
        except ProviderError:
            raise
        except Exception as error:  # a timeout, whose class differs between Python versions
            confirmation.cancel()
            raise ProviderError(
                f"event {shown(event_id)!r} could not be sent to {queue!r} in time; it stays where it is",
                event_id=event_id,
            ) from error
