"""Looking into a plain queue, and taking one message out of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Callable

from aspyx_event.envelope import Envelope
from aspyx_event.providers.amqp import mapping
from aspyx_event.providers.amqp.browsing import Scan, browse_by_scanning, take_by_scanning
from aspyx_event.providers.amqp.channel import Channel, wait
from aspyx_event.providers.amqp.dialects import Dialect
from aspyx_event.providers.amqp.nodes import Node
from aspyx_event.providers.amqp.receiving import Refused
from aspyx_event.timing import Deadline

_WINDOW = 100

Persistently = Callable[[Deadline, Callable[[Channel, Dialect], Any]], Any]
"""Runs an attempt on the current connection, and on the next one when it breaks meanwhile."""


def browse(persistently: Persistently, dialect: Dialect, queue: str, timeout: float) -> Iterator[Envelope]:
    """What lies in a queue; ``timeout`` bounds each step."""
    scan = _opened(persistently, dialect.browse_source(queue), queue, timeout, window=_WINDOW)
    yield from browse_by_scanning(
        scan,
        lambda data: mapping.decode(data, received_at=time.time()),
        timeout,
        give_back=dialect.browsing_takes,
    )


def take(
    persistently: Persistently, dialect: Dialect, queue: str, event_id: str, timeout: float
) -> tuple[Scan, int, bytes] | None:
    """The first message with this id, unsettled: its scan, token and bytes."""
    selecting = dialect.take_source(queue, event_id)
    if selecting is not None:
        found = _take(persistently, selecting, queue, event_id, timeout, window=1)
        if found is not None or not dialect.must_scan(event_id):
            return found
    return _take(persistently, dialect.source(queue), queue, event_id, timeout, window=_WINDOW)


def _take(
    persistently: Persistently, node: Node, queue: str, event_id: str, timeout: float, *, window: int
) -> tuple[Scan, int, bytes] | None:
    scan = _opened(persistently, node, queue, timeout, window=window)
    try:
        item = take_by_scanning(scan, lambda data: mapping.decode(data, received_at=0).id == event_id, timeout)
    finally:
        scan.finish()
    return None if item is None else (scan, *item)


def _opened(persistently: Persistently, node: Node, queue: str, timeout: float, *, window: int) -> Scan:
    deadline = Deadline(timeout)

    def attempt(channel: Channel, dialect: Dialect) -> Scan:
        scan = Scan(channel.connection, node, window=window)
        channel.open_scan(scan)
        try:
            wait(scan.opened, deadline, channel.connection, f"attach to {queue}")
        except Refused as error:
            raise dialect.source_refused(queue, error.condition, listener=None) from error
        return scan

    found: Scan = persistently(deadline, attempt)
    return found
