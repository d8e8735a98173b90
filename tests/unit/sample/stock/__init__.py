"""A package with all kinds of listeners."""

from __future__ import annotations

from dataclasses import dataclass

from aspyx_event import event, event_listener


@event(durable=True)
@dataclass
class Counted:
    number: int = 0


@event("stock.seen")
@dataclass
class Seen:
    number: int = 0


@event_listener(Counted, "ledger")
def enter(event: Counted) -> None:
    pass


@event_listener(Seen, "screen")
def show(event: Seen) -> None:
    pass


@event_listener(Counted, "cache", per_process=True)
def forget(event: Counted) -> None:
    pass
