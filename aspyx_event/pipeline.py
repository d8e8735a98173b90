"""Envelope pipelines: code around every send and every handling attempt."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional, TypeVar

from aspyx_event.envelope import Envelope
from aspyx_event.events import EventDescriptor, place
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.listeners import EventListenerDescriptor

P = TypeVar("P", bound=type)

_DECLARATION = "__aspyx_pipeline__"


class EnvelopePipeline:
    """Override ``send``, ``handle`` or both; by default they only go on.

    Code before ``self.proceed_*`` runs on the way in, code after it on the way back. Not proceeding is a filter:
    nothing is sent, or the envelope counts as handled. The instance holds no state of the chain, so one serves many
    threads and managers at once; what belongs to one event goes into the envelope or into context variables:
    ``handle`` and the listener, async ones included, share one ``contextvars`` context per delivery.
    """

    def send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> None:
        """Called in the sender's thread with the encoded event, before it goes to the provider."""
        self.proceed_send(envelope, event_descriptor)

    def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> None:
        """Called in a worker thread, once per attempt, with a freshly decoded event in ``envelope.event``."""
        self.proceed_handle(envelope, event_listener_descriptor)

    def proceed_send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> None:
        """Go on to the next pipeline, at last to the provider."""
        envelope.proceed_send(event_descriptor)

    def proceed_handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> None:
        """Go on to the next pipeline, at last to the listener."""
        envelope.proceed_handle(event_listener_descriptor)


AbstractEnvelopePipeline = EnvelopePipeline
"""The name it has in aspyx-event 0.9."""


@dataclass(frozen=True)
class PipelineDeclaration:
    """What ``@envelope_pipeline`` said."""

    order: int


def envelope_pipeline(order: int = 0) -> Callable[[P], P]:
    """Declare an ``EnvelopePipeline`` class for the registry.

    order: the lowest is outermost, in both directions; equal orders keep the order of registration.

    Raises ConfigurationError for an order that is no number, and on anything but an ``EnvelopePipeline`` class.
    """
    if isinstance(order, type):
        raise ConfigurationError(f"write @envelope_pipeline() with parentheses on {place(order)}")
    if not isinstance(order, (int, float)):
        raise ConfigurationError(f"envelope_pipeline(order={order!r}): a number")

    def declare(cls: P) -> P:
        _check_base(cls)
        setattr(cls, _DECLARATION, PipelineDeclaration(order))
        return cls

    return declare


def _check_base(cls: Any) -> None:
    if not isinstance(cls, type) or not issubclass(cls, EnvelopePipeline):
        raise ConfigurationError(f"@envelope_pipeline stands on {place(cls)}: derive it from EnvelopePipeline")
    for name in ("send", "handle"):
        if inspect.iscoroutinefunction(getattr(cls, name)):
            raise ConfigurationError(
                f"pipeline {place(cls)}: {name} is async, and would never run: write it as an ordinary method; "
                "it runs in the sender's or a worker's thread, around async listeners too"
            )


def pipeline_declaration(cls: Any) -> PipelineDeclaration | None:
    """The declaration of a class, None when it has none of its own."""
    return vars(cls).get(_DECLARATION) if isinstance(cls, type) else None


class PipelineChain:
    """The pipelines of a manager in their order, and what stands at the end. Immutable, shared by all threads."""

    __slots__ = ("_handle_end", "_pipelines", "_send_end")

    def __init__(
        self,
        pipelines: Sequence[EnvelopePipeline],
        *,
        send: Optional[Callable[[Envelope, EventDescriptor], None]] = None,
        handle: Optional[Callable[[Envelope, EventListenerDescriptor], None]] = None,
    ) -> None:
        self._pipelines = tuple(pipelines)
        self._send_end = send
        self._handle_end = handle

    def send(self, envelope: Envelope, descriptor: EventDescriptor) -> None:
        """Send an envelope through all of them."""
        if self._pipelines or self._send_end is None:
            envelope.bind(self)
            envelope.proceed_send(descriptor)
        else:
            self._send_end(envelope, descriptor)

    def handle(self, envelope: Envelope, descriptor: EventListenerDescriptor) -> None:
        """Hand an envelope to the listener, through all of them."""
        if self._pipelines or self._handle_end is None:
            envelope.bind(self)
            envelope.proceed_handle(descriptor)
        else:
            self._handle_end(envelope, descriptor)

    def next_send(self, envelope: Envelope, descriptor: Any, position: int) -> None:
        """Call the pipeline at ``position``, or the end of the chain."""
        if position < len(self._pipelines):
            self._pipelines[position].send(envelope, descriptor)
        elif self._send_end is not None:
            self._send_end(envelope, descriptor)

    def next_handle(self, envelope: Envelope, descriptor: Any, position: int) -> None:
        """Call the pipeline at ``position``, or the end of the chain."""
        if position < len(self._pipelines):
            self._pipelines[position].handle(envelope, descriptor)
        elif self._handle_end is not None:
            self._handle_end(envelope, descriptor)
