"""A package to scan: an event here, listeners in sub-modules."""

from __future__ import annotations

from dataclasses import dataclass

from aspyx_event import event
from tests.unit.sample.elsewhere import Foreign

__all__ = ["Foreign", "Placed"]


@event()
@dataclass
class Placed:
    number: int = 0


Alias = Placed
