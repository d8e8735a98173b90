"""Which dead letters a command is about."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Optional

from aspyx_event.delivery.dead_letters import DeadLetter
from aspyx_event.exceptions import ConfigurationError

_AGE = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Selection:
    """Which ones: all of these conditions have to be met.

    ids: event ids; none means any. listener: the one that failed. type: the event's name. since: dead letters of that
    time or later; those whose headers name no time are left out then. limit: so many, the oldest first.
    """

    ids: tuple[str, ...] = ()
    listener: Optional[str] = None
    type: Optional[str] = None
    since: Optional[datetime] = None
    limit: Optional[int] = None

    @property
    def everything(self) -> bool:
        """Whether there is no condition at all."""
        return self == Selection()

    def of(self, letters: Iterable[DeadLetter]) -> list[DeadLetter]:
        """Those that are meant."""
        found: list[DeadLetter] = []
        for letter in letters:
            if self.limit is not None and len(found) >= self.limit:
                break
            if self._fits(letter):
                found.append(letter)
        return found

    def missing(self, found: Iterable[DeadLetter]) -> list[str]:
        """The ids that were asked for and are not there."""
        there = {letter.id for letter in found}
        return [id for id in dict.fromkeys(self.ids) if id not in there]

    def _fits(self, letter: DeadLetter) -> bool:
        if self.ids and letter.id not in self.ids:
            return False
        if self.listener is not None and letter.listener != self.listener:
            return False
        if self.type is not None and letter.event != self.type:
            return False
        if self.since is None:
            return True
        at = _time(letter.time)
        return at is not None and at >= self.since


def since(text: str, now: Optional[datetime] = None) -> datetime:
    """``30m``, ``12h``, ``7d`` ago, or a date or time such as ``2026-03-01T12:00`` (UTC unless it says otherwise).

    Raises ConfigurationError.
    """
    age = _AGE.fullmatch(text)
    try:
        if age:
            return (now or datetime.now(timezone.utc)) - timedelta(**{_UNITS[age[2]]: int(age[1])})
        at = _time(text)
    except OverflowError:
        at = None
    if at is None:
        raise ConfigurationError(f"{text!r} is no time: write 30m, 12h or 7d, or 2026-03-01T12:00")
    return at


def _time(text: str) -> Optional[datetime]:
    try:
        at = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
