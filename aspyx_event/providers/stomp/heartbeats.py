"""What two sides make of the heartbeats that they offer."""

from __future__ import annotations

from typing import Optional


def agreed(ours: float, offered: str) -> tuple[Optional[float], Optional[float]]:
    """How often to write at least, and how long the broker may be silent, in seconds; None: no matter.

    ours: the seconds that we offered, in both directions. offered: the broker's header, in milliseconds.
    """
    try:
        theirs, wanted = (int(part) / 1000 for part in offered.split(","))
    except ValueError:
        return None, None
    beat_every = max(ours, wanted) / 2 if wanted else None  # some brokers grant no grace at all
    # ActiveMQ looks once an interval whether it has written since: two beats may be two intervals apart.
    return beat_every, max(ours, theirs) * 2.5 if theirs else None
