"""From an event to its confirmation."""

from __future__ import annotations

import concurrent.futures
import contextlib
import re
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from aspyx_event.codec import Codec
from aspyx_event.delivery.sending import Sending, TimedSending
from aspyx_event.delivery.stamps import new_id, time_text
from aspyx_event.envelope import (
    CE_CAUSATION_ID,
    CE_CORRELATION_ID,
    CE_ID,
    CE_PARTITION_KEY,
    CE_SOURCE,
    CE_SPECVERSION,
    CE_TIME,
    CE_TRACEPARENT,
    CE_TYPE,
    Envelope,
    check_header,
    current_envelope,
)
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import (
    ConfigurationError,
    EventError,
    FailedSend,
    ProviderError,
    ProviderUnavailable,
    SendEventsError,
    SendTimeout,
)
from aspyx_event.pipeline import EnvelopePipeline, PipelineChain
from aspyx_event.provider import Provider
from aspyx_event.registry import EventRegistry

if TYPE_CHECKING:
    from aspyx_event.delivery.awaiting import AwaitedSending  # at run time with the first coroutine: see there

WINDOW = 512
"""Unconfirmed events of one ``send_events`` call."""
_PARTS = 8
"""A full window is waited for in so many parts."""
S = TypeVar("S", bound=Sending)
_UNSENDABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class SendOptions:
    """What a caller says about one event. ``delay`` and ``ttl`` are in seconds. Raises ConfigurationError."""

    headers: Optional[Mapping[str, str]] = None
    key: Optional[str] = None
    delay: Optional[float] = None
    ttl: Optional[float] = None
    id: Optional[str] = None

    def __post_init__(self) -> None:
        if self.key is not None:
            _check_text("key", self.key)
        if self.id is not None:
            _check_text("id", self.id)
        if self.delay is not None:
            _check_seconds("delay", self.delay, 0.0)
        if self.ttl is not None:
            _check_seconds("ttl", self.ttl, 0.001)
        if self.headers is not None:
            if not isinstance(self.headers, Mapping):
                raise ConfigurationError(
                    f"send_event(headers=...): a mapping of texts, not {type(self.headers).__name__}"
                )
            kept = dict(self.headers)  # checked once: nobody changes them between two of many events
            for key, value in kept.items():
                check_header(key, value)
            object.__setattr__(self, "headers", kept)


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value or _UNSENDABLE.search(value):
        raise ConfigurationError(
            f"send_event({name}={value!r}): a text that is not empty, without NUL and lone surrogates"
        )


def _check_seconds(name: str, value: Any, least: float) -> None:
    if not (isinstance(value, (int, float)) and least <= value < float("inf")):
        raise ConfigurationError(f"send_event({name}={value!r}): a number of seconds from {least:g} on")


class Sender:
    """Composes, encodes, and sends events through the pipelines. Thread-safe."""

    def __init__(
        self,
        provider: Provider,
        registry: EventRegistry,
        codec: Codec,
        *,
        pipelines: Sequence[EnvelopePipeline],
    ) -> None:
        self._provider = provider
        self._source = provider.server_name  # a sender lives no longer than one start, in one process
        self._registry = registry
        self._codec = codec
        self._chain = PipelineChain(pipelines, send=self._give)
        self._here = threading.local()

    def send(self, event: Any, options: SendOptions, timeout: float) -> None:
        """Send and wait for the confirmation. Raises within ``timeout`` seconds."""
        self._wait(self.begin(event, options, timeout), timeout)

    def begin_async(self, event: Any, options: SendOptions, timeout: float) -> AwaitedSending:
        """Hand an event to the provider. Whoever runs in a loop awaits the answer, which raises as ``send`` does."""
        from aspyx_event.delivery.awaiting import AwaitedSending, desk_of

        desk = desk_of(self._here, self._late)
        until = desk.until(timeout)
        sending = self._hand_over(AwaitedSending(event, desk, timeout), options)
        sending.begin(until)
        return sending

    def send_all(self, events: Iterable[Any], options: SendOptions, timeout: float) -> None:
        """Send many with their confirmations pipelined. Raises SendEventsError at the end."""
        window = _Window(lambda sending: self._wait(sending, timeout))
        try:
            for event in events:
                window.make_room()
                try:
                    window.add(self.begin(event, options, timeout))
                except EventError as error:
                    window.failed.append(FailedSend(event, getattr(error, "event_id", None), error))
        except Exception:  # of the iterable, or a pipeline: what is on its way is waited for all the same
            window.finish()
            raise
        else:
            window.finish()
        finally:
            window.forget()  # after Ctrl-C there are some left
        if window.failed:
            raise SendEventsError(window.failed, window.confirmed)

    def begin(self, event: Any, options: SendOptions, timeout: float) -> TimedSending:
        """Encode an event and hand it to the provider, without waiting."""
        return self._hand_over(TimedSending(event, timeout), options)

    def _hand_over(self, sending: S, options: SendOptions) -> S:
        event = sending.event
        descriptor = self._registry.event_for(type(event))
        # One after the other: Python makes a dictionary of what is named in a call of a class, in a quarter of a
        # microsecond.
        envelope = Envelope(self._codec.encode(event, descriptor), self._attributes(descriptor, options))
        envelope.content_type = self._codec.content_type
        envelope.event = event
        envelope.delay = options.delay
        envelope.ttl = options.ttl
        sending.id = envelope.id
        envelope.answers = sending.confirmations = []
        try:
            self._chain.send(envelope, descriptor)
        except ProviderError as error:
            sending.named(error)
            raise
        return sending

    def _give(self, envelope: Envelope, descriptor: EventDescriptor) -> None:
        """The end of the chain of pipelines; one of them may come here twice."""
        assert envelope.answers is not None
        envelope.answers.append(self._provider.send(envelope, descriptor))

    def _attributes(self, descriptor: EventDescriptor, options: SendOptions) -> dict[str, str]:
        attributes = {
            CE_ID: options.id or new_id(),
            CE_SOURCE: self._source,
            CE_TYPE: descriptor.name,
            CE_SPECVERSION: "1.0",
            CE_TIME: time_text(),
        }
        if options.key is not None:
            attributes[CE_PARTITION_KEY] = options.key
        cause = current_envelope()
        if cause is not None and cause.id:
            attributes[CE_CAUSATION_ID] = cause.id
            attributes[CE_CORRELATION_ID] = cause.get(CE_CORRELATION_ID) or cause.id
            trace = cause.get(CE_TRACEPARENT)
            if trace is not None:
                attributes[CE_TRACEPARENT] = trace
        if options.headers:
            attributes.update(options.headers)
        return attributes

    def _wait(self, sending: TimedSending, timeout: float) -> None:
        try:
            for confirmation in sending.confirmations:
                confirmation.result(sending.deadline.left())
        except ProviderError as error:
            sending.named(error)
            raise
        except concurrent.futures.TimeoutError:
            raise self._late(sending, timeout) from None
        except concurrent.futures.CancelledError:
            raise sending.given_up() from None
        finally:
            sending.forget()

    def _late(self, sending: Sending, timeout: float) -> EventError:
        name = type(sending.event).__name__
        if not self._provider.connected:
            return ProviderUnavailable(
                f"{name} was not confirmed within {timeout:g} s: there is no connection to the broker "
                f"({self._provider!r}); if it broke after the event was written, the event may be stored nevertheless",
                event_id=sending.id,
            )
        return SendTimeout(
            f"{name} was not confirmed within {timeout:g} s: it may or may not be stored; "
            f"sending it again with id={sending.id!r} keeps it the same event",
            event_id=sending.id,
        )


class _Window:
    """The events of one ``send_events`` that are not confirmed yet, oldest first. Belongs to one thread."""

    def __init__(self, wait: Callable[[TimedSending], None]) -> None:
        self._wait = wait
        self.open: deque[TimedSending] = deque()
        self.failed: list[FailedSend] = []
        self.confirmed = 0

    def add(self, sending: TimedSending) -> None:
        """One more. What is confirmed already, with nothing open before it, need not be kept."""
        for confirmation in sending.confirmations:
            if self.open or not confirmation.done() or confirmation.cancelled() or confirmation.exception():
                self.open.append(sending)
                return
        self.confirmed += 1

    def make_room(self) -> None:
        """Wait for a part of the window when it is full. One event at a time would wake the caller for each."""
        if len(self.open) >= WINDOW:
            self._finish(max(1, WINDOW // _PARTS))

    def finish(self) -> None:
        """Wait for all."""
        while self.open:
            self._finish(min(len(self.open), max(1, WINDOW // _PARTS)))

    def forget(self) -> None:
        """Wait for none."""
        for sending in self.open:
            sending.forget()

    def _finish(self, count: int) -> None:
        self._until_likely(self.open[0], self.open[count - 1])
        for _ in range(count):
            sending = self.open.popleft()
            try:
                self._wait(sending)
            except EventError as error:
                self.failed.append(FailedSend(sending.event, sending.id, error))
            else:
                self.confirmed += 1

    def _until_likely(self, first: TimedSending, last: TimedSending) -> None:
        """Brokers confirm in order: with the last one the others are confirmed, too, most of the time."""
        for confirmation in last.confirmations:
            with contextlib.suppress(EventError, concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
                confirmation.result(first.deadline.left())
