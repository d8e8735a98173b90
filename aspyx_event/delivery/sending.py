"""One event on its way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aspyx_event.exceptions import ProviderError, ProviderUnavailable
from aspyx_event.provider import Confirmation
from aspyx_event.timing import Deadline


class Sending:
    """One event on its way, and its confirmations. There are none when a pipeline filtered it."""

    __slots__ = ("confirmations", "event", "id")

    def __init__(self, event: Any) -> None:
        self.event = event
        self.id = ""
        self.confirmations: Sequence[Confirmation[None]] = ()

    def forget(self) -> None:
        """Nobody waits any more: the provider need not write again what it has not confirmed."""
        confirmations, self.confirmations = self.confirmations, ()
        for confirmation in confirmations:
            confirmation.cancel()

    def named(self, error: ProviderError) -> ProviderError:
        """The error, saying which event it is about, whether the provider knew or not."""
        error.event_id = error.event_id or self.id
        return error

    def given_up(self) -> ProviderUnavailable:
        """What it means when the provider cancels a confirmation."""
        return ProviderUnavailable("the provider was stopped before the confirmation", event_id=self.id)


class TimedSending(Sending):
    """One that a thread waits for, ``timeout`` seconds from now on."""

    __slots__ = ("deadline",)

    def __init__(self, event: Any, timeout: float) -> None:
        super().__init__(event)
        self.deadline = Deadline(timeout)
