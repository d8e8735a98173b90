"""What a harness sees of its manager: events on their way out, in their listeners, and what became of them."""

from __future__ import annotations

import sys
import threading
from typing import Any, Optional

from aspyx_event.delivery.outcome import Outcome, Result
from aspyx_event.envelope import Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.pipeline import EnvelopePipeline, envelope_pipeline
from aspyx_event.provider import Confirmation
from aspyx_event.providers.local import LocalProvider
from aspyx_event.testing.failures import FailedEvent
from aspyx_event.timing import Clock

_FAILED = (Result.DEAD_LETTERED, Result.RETRIED, Result.RELEASED)
"""RELEASED: the end of the harness cut a pause between two attempts short."""


class Records:
    """All that happened. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here = threading.local()
        self._sent: list[Envelope] = []
        self._handled: list[tuple[str, Any]] = []
        self._dead: list[FailedEvent] = []
        self._retrying: dict[tuple[str, str], FailedEvent] = {}

    # -- for those who record

    def sending(self, envelope: Envelope) -> None:
        """An event goes out."""
        with self._lock:
            self._sent.append(envelope)

    def handling(self, envelope: Envelope) -> None:
        """An event is about to reach its listener, in this thread."""
        self._here.event = envelope.id, envelope.event

    def observe(self, outcome: Outcome) -> None:
        """What became of a delivery; in the thread in which it was handled."""
        seen: Optional[tuple[str, Any]] = getattr(self._here, "event", None)
        self._here.event = None
        reached = seen is not None and seen[0] == outcome.event_id
        event = seen[1] if seen is not None and reached else None
        one = outcome.listener, outcome.event_id
        with self._lock:
            if outcome.result is Result.HANDLED and reached:
                self._handled.append((outcome.listener, event))
            if outcome.result is not Result.RELEASED:
                self._retrying.pop(one, None)
            if outcome.error is not None and outcome.result in _FAILED:
                failed = FailedEvent(
                    outcome.listener, event, outcome.event_id, outcome.reason, outcome.attempt, outcome.error
                )
                if outcome.result is Result.DEAD_LETTERED:
                    self._dead.append(failed)
                else:
                    self._retrying[one] = failed

    # -- for those who read

    def sent(self, event_type: type) -> list[Envelope]:
        """The envelopes with events of exactly this type."""
        with self._lock:
            return [envelope for envelope in self._sent if type(envelope.event) is event_type]

    def handled(self, listener: str) -> list[Any]:
        """What a listener handled."""
        with self._lock:
            return [event for name, event in self._handled if name == listener]

    @property
    def dead(self) -> tuple[FailedEvent, ...]:
        """What is in the error queue, or was."""
        with self._lock:
            return tuple(self._dead)

    @property
    def retrying(self) -> tuple[FailedEvent, ...]:
        """What failed and waits for its next attempt."""
        with self._lock:
            return tuple(self._retrying.values())


class RecordingProvider(LocalProvider):
    """LocalProvider that notes what it sends."""

    def __init__(self, records: Records, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._records = records

    def send(self, envelope: Envelope, event: EventDescriptor) -> Confirmation[None]:
        """See Provider."""
        self._records.sending(envelope)  # before: its listener may be quicker than this thread
        return super().send(envelope, event)


@envelope_pipeline(order=sys.maxsize)
class RecordingPipeline(EnvelopePipeline):
    """The innermost pipeline: notes what reaches a listener."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> None:
        """See EnvelopePipeline."""
        self._records.handling(envelope)
        self.proceed_handle(envelope, event_listener_descriptor)
