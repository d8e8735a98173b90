"""Declares what others only re-export."""

from __future__ import annotations

from dataclasses import dataclass

from aspyx_event import event


@event()
@dataclass
class Foreign:
    number: int = 0
