"""Sending from views, forms, commands and listeners."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from django.db import transaction

from aspyx_event.delivery.sender import SendOptions
from aspyx_event.integrations.django.state import current

logger = logging.getLogger(__name__)


def send_event(
    event: Any,
    *,
    headers: Optional[Mapping[str, str]] = None,
    key: Optional[str] = None,
    delay: Optional[float] = None,
    ttl: Optional[float] = None,
    id: Optional[str] = None,
    timeout: Optional[float] = None,
) -> None:
    """Send an event now; returns when the broker has confirmed it. Thread-safe.

    The first send of a process connects. Arguments and errors are those of ``EventManager.send_event``; ``timeout``,
    by default the setting ``SEND_TIMEOUT`` (10 s), includes the connecting. Inside a transaction the event goes out
    even if that is rolled back later: ``send_on_commit`` waits for its end.
    """
    current().lazy.send_event(event, headers=headers, key=key, delay=delay, ttl=ttl, id=id, timeout=timeout)


async def send_event_async(
    event: Any,
    *,
    headers: Optional[Mapping[str, str]] = None,
    key: Optional[str] = None,
    delay: Optional[float] = None,
    ttl: Optional[float] = None,
    id: Optional[str] = None,
    timeout: Optional[float] = None,
) -> None:
    """``send_event`` for async views and listeners: waits without blocking the loop. The same arguments and errors."""
    await current().lazy.send_event_async(event, headers=headers, key=key, delay=delay, ttl=ttl, id=id, timeout=timeout)


def send_events(
    events: Iterable[Any],
    *,
    headers: Optional[Mapping[str, str]] = None,
    key: Optional[str] = None,
    delay: Optional[float] = None,
    ttl: Optional[float] = None,
    timeout: Optional[float] = None,
) -> None:
    """Send many events now, their confirmations pipelined; as ``EventManager.send_events``. ``timeout`` is for each."""
    current().lazy.send_events(events, headers=headers, key=key, delay=delay, ttl=ttl, timeout=timeout)


def send_on_commit(
    event: Any,
    *,
    using: Optional[str] = None,
    robust: bool = True,
    headers: Optional[Mapping[str, str]] = None,
    key: Optional[str] = None,
    delay: Optional[float] = None,
    ttl: Optional[float] = None,
    id: Optional[str] = None,
    timeout: Optional[float] = None,
) -> None:
    """Send an event once the current transaction is committed, and never when it, or its savepoint, is rolled back.

    using: the alias of the database, by default ``"default"``. Without a transaction there, it is sent at once.
    robust: True, a send that fails after the commit is logged as an error, with the event's id, and the functions
    that other code handed to ``on_commit`` still run; the event is lost. False: it raises there, out of the
    ``atomic`` block, whose data is committed all the same.
    All others are those of ``send_event``.

    Raises CodecError or ConfigurationError at once for what can never be sent. The event is encoded after the commit:
    do not change it meanwhile. Thread-safe.
    """
    state = current()
    options = SendOptions(headers, key, delay, ttl, id)
    state.codec.encode(event, state.lazy.get().registry.event_for(type(event)))
    event_id = options.id or str(uuid.uuid4())

    def send_after_commit() -> None:
        try:
            send_event(event, headers=headers, key=key, delay=delay, ttl=ttl, id=event_id, timeout=timeout)
        except Exception:  # of a pipeline, too: Django's own message would not name the event
            if not robust:
                raise
            logger.exception("%s (id %s) was not sent after the commit, and is lost", type(event).__name__, event_id)

    transaction.on_commit(send_after_commit, using=using, robust=robust)
