"""Heartbeats that are offered."""

from __future__ import annotations

from typing import Optional

import pytest

from aspyx_event.providers.stomp.heartbeats import agreed


@pytest.mark.parametrize(
    ("ours", "offered", "beat_every", "silence"),
    [
        (10.0, "10000,10000", 5.0, 25.0),
        (10.0, "0,30000", 15.0, None),
        (10.0, "30000,0", None, 75.0),
        (10.0, "0,0", None, None),
        (10.0, "1000,1000", 5.0, 25.0),
        (10.0, "nonsense", None, None),
        (10.0, "1,2,3", None, None),
    ],
)
def test_the_slower_side_counts(
    ours: float, offered: str, beat_every: Optional[float], silence: Optional[float]
) -> None:
    """Each direction goes by who wants less; a side that offers nothing, or nothing readable, expects nothing."""
    assert agreed(ours, offered) == (beat_every, silence)
