"""Deeper down."""

from __future__ import annotations

from dataclasses import dataclass

from aspyx_event import event


@event()
@dataclass
class Deep:
    pass
