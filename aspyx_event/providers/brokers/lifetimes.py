"""How long a broker keeps a queue that nobody reads."""

from __future__ import annotations

from typing import Optional

from aspyx_event.listeners import EventListenerDescriptor

_NON_DURABLE, _PER_PROCESS = 60.0, 3600.0


def lifetime_of(listener: EventListenerDescriptor) -> Optional[float]:
    """Seconds without a consumer after which a listener's queue goes, messages or not; None: it stays."""
    if listener.durable:
        return None
    return _PER_PROCESS if listener.per_process else _NON_DURABLE
