"""One handling attempt: decode, pipelines, listener."""

from __future__ import annotations

import concurrent.futures
import inspect
import threading
from collections.abc import Awaitable, Sequence
from typing import Any, Callable

from aspyx_event.codec import Codec
from aspyx_event.delivery.lanes import Item
from aspyx_event.delivery.loop import LoopThread
from aspyx_event.delivery.redelivery import (
    REASON_CRASHED,
    REASON_DECODE,
    REASON_UNKNOWN_EVENT,
    Poison,
)
from aspyx_event.envelope import CE_TYPE, EV_ATTEMPT, Envelope, set_current_envelope
from aspyx_event.exceptions import CodecError, EventError
from aspyx_event.listeners import EventListenerDescriptor, handler_of
from aspyx_event.pipeline import EnvelopePipeline, PipelineChain

CRASH_LIMIT = 8
"""Deliveries that ended without a word before the event counts as one that kills processes; Artemis gives up at 10."""


class Stopping(BaseException):
    """The attempt ended because the manager stops; it does not count."""


class Attempts:
    """Runs the attempts of one listener. Thread-safe."""

    def __init__(
        self,
        listener: EventListenerDescriptor,
        target: Any,
        *,
        codec: Codec,
        pipelines: Sequence[EnvelopePipeline],
        loop: LoopThread,
        known_events: Callable[[], Sequence[str]],
        abandoned: threading.Event,
    ) -> None:
        self._listener = listener
        self._handler = handler_of(target)
        self._codec = codec
        self._chain = PipelineChain(pipelines, handle=self._call)
        self._loop = loop
        self._known_events = known_events
        self._abandoned = abandoned

    def run(self, item: Item) -> None:
        """Make attempt number ``item.attempt``, in the caller's context. Raises what the listener raises, or Poison."""
        envelope = item.renew()  # one of its own for every attempt, so that none sees what an earlier one set
        item.tried = True
        envelope.wire_headers[EV_ATTEMPT] = str(item.attempt)
        try:
            envelope.event = self._codec.decode(envelope, self._listener.event)
        except CodecError as error:
            raise Poison(REASON_DECODE, error) from error
        set_current_envelope(envelope)
        self._chain.handle(envelope, self._listener)

    def check(self, envelope: Envelope) -> None:
        """Raises Poison for a message that must not be tried at all."""
        if envelope.delivery_count >= CRASH_LIMIT:
            raise Poison(
                REASON_CRASHED,
                EventError(
                    f"delivered {envelope.delivery_count} times before without an answer: "
                    f"it seems to kill the process of listener {self._listener.name!r}"
                ),
            )
        claimed = envelope.get(CE_TYPE)
        if claimed and claimed != self._listener.event.name and claimed in self._known_events():
            raise Poison(
                REASON_UNKNOWN_EVENT,
                EventError(f"the event says it is {claimed!r}, but it came to {self._listener.event.name!r}"),
            )

    def _call(self, envelope: Envelope, _listener: EventListenerDescriptor) -> None:
        result = self._handler(envelope.event)
        if result is not None and inspect.isawaitable(result):
            self._wait(result)

    def _wait(self, awaitable: Awaitable[Any]) -> None:
        try:
            self._loop.run(awaitable)
        except concurrent.futures.CancelledError:
            if self._abandoned.is_set():
                raise Stopping from None
            raise EventError(f"the coroutine of listener {self._listener.name!r} was cancelled") from None
