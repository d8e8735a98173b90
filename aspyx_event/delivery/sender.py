"""From an event to its confirmation."""

from __future__ import annotations

import concurrent.futures
import contextlib
import re
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Optional

from aspyx_event.codec import Codec
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
from aspyx_event.provider import Confirmation, Provider
from aspyx_event.registry import EventRegistry
from aspyx_event.timing import Deadline

WINDOW = 512
"""Unconfirmed events of one ``send_events`` call."""
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
        for name in ("key", "id"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value or _UNSENDABLE.search(value)):
                raise ConfigurationError(
                    f"send_event({name}={value!r}): a text that is not empty, without NUL and lone surrogates"
                )
        for name, least in (("delay", 0.0), ("ttl", 0.001)):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and least <= value < float("inf")):
                raise ConfigurationError(f"send_event({name}={value!r}): a number of seconds from {least:g} on")
        if self.headers is not None and not isinstance(self.headers, Mapping):
            raise ConfigurationError(f"send_event(headers=...): a mapping of texts, not {type(self.headers).__name__}")
        for key, value in (self.headers or {}).items():
            check_header(key, value)


@dataclass
class Sending:
    """One event on its way: its confirmations (none: a pipeline filtered it) and its time."""

    event: Any
    id: str
    deadline: Deadline
    confirmations: list[Confirmation[None]] = field(default_factory=list)


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
        self._registry = registry
        self._codec = codec
        self._pipelines = tuple(pipelines)

    def send(self, event: Any, options: SendOptions, timeout: float) -> None:
        """Send and wait for the confirmation. Raises within ``timeout`` seconds."""
        self._wait(self.begin(event, options, timeout), timeout)

    async def send_async(self, event: Any, options: SendOptions, timeout: float) -> None:
        """The same without blocking the loop."""
        import asyncio  # not before: most programs have no loop

        sending = self.begin(event, options, timeout)
        try:
            for confirmation in sending.confirmations:
                with _naming_the_event(sending):
                    await asyncio.wait_for(asyncio.wrap_future(confirmation), sending.deadline.left())
        except asyncio.TimeoutError:
            raise self._late(sending, timeout) from None
        finally:
            _forget(sending)

    def send_all(self, events: Iterable[Any], options: SendOptions, timeout: float) -> None:
        """Send many with their confirmations pipelined. Raises SendEventsError at the end."""
        open_sendings: deque[Sending] = deque()
        failed: list[FailedSend] = []
        confirmed = 0

        def finish_first() -> int:
            sending = open_sendings.popleft()
            try:
                self._wait(sending, timeout)
            except EventError as error:
                failed.append(FailedSend(sending.event, sending.id, error))
                return 0
            return 1

        try:
            for event in events:
                if len(open_sendings) >= WINDOW:
                    confirmed += finish_first()
                try:
                    open_sendings.append(self.begin(event, options, timeout))
                except EventError as error:
                    failed.append(FailedSend(event, getattr(error, "event_id", None), error))
        except Exception:  # of the iterable, or a pipeline: what is on its way is waited for all the same
            while open_sendings:
                finish_first()
            raise
        while open_sendings:
            confirmed += finish_first()
        if failed:
            raise SendEventsError(failed, confirmed)

    def begin(self, event: Any, options: SendOptions, timeout: float) -> Sending:
        """Encode an event and hand it to the provider, without waiting."""
        descriptor = self._registry.event_for(type(event))
        envelope = Envelope(
            self._codec.encode(event, descriptor),
            self._attributes(descriptor, options),
            content_type=self._codec.content_type,
            event=event,
            delay=options.delay,
            ttl=options.ttl,
        )
        for key, value in (options.headers or {}).items():
            envelope.set(key, value)
        sending = Sending(event, envelope.id, Deadline(timeout))

        def give(envelope: Envelope, descriptor: EventDescriptor) -> None:
            sending.confirmations.append(self._provider.send(envelope, descriptor))

        envelope.bind(PipelineChain(self._pipelines, send=give))
        with _naming_the_event(sending):
            envelope.proceed_send(descriptor)
        return sending

    def _attributes(self, descriptor: EventDescriptor, options: SendOptions) -> dict[str, str]:
        attributes = {
            CE_ID: options.id or str(uuid.uuid4()),
            CE_SOURCE: self._provider.server_name,
            CE_TYPE: descriptor.name,
            CE_SPECVERSION: "1.0",
            CE_TIME: datetime.now(timezone.utc).isoformat().replace("+00:00", "Z"),
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
        return attributes

    def _wait(self, sending: Sending, timeout: float) -> None:
        try:
            for confirmation in sending.confirmations:
                with _naming_the_event(sending):
                    confirmation.result(sending.deadline.left())
        except concurrent.futures.TimeoutError:
            raise self._late(sending, timeout) from None
        except concurrent.futures.CancelledError:
            raise ProviderUnavailable("the provider was stopped before the confirmation", event_id=sending.id) from None
        finally:
            _forget(sending)

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


@contextlib.contextmanager
def _naming_the_event(sending: Sending) -> Iterator[None]:
    """A provider's error says which event it is about, whether the provider knew or not."""
    try:
        yield
    except ProviderError as error:
        error.event_id = error.event_id or sending.id
        raise


def _forget(sending: Sending) -> None:
    """Nobody waits any more: the provider need not write again what it has not confirmed."""
    for confirmation in sending.confirmations:
        confirmation.cancel()
