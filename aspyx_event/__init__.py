"""Typed events for synchronous Python: a thread-pool based event library over AMQP 1.0, STOMP, and in process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aspyx_event.delivery.dead_letters import DeadLetter
    from aspyx_event.delivery.dispatcher import Abandoned, StopResult
    from aspyx_event.delivery.health import Health, ListenerHealth
    from aspyx_event.delivery.outcome import Outcome, Result
    from aspyx_event.delivery.wiring import Wiring
    from aspyx_event.envelope import Envelope, current_envelope
    from aspyx_event.events import EventDescriptor, event
    from aspyx_event.exception_manager import ExceptionManager, catch
    from aspyx_event.exceptions import (
        AttachRefused,
        AuthenticationFailed,
        CodecError,
        ConfigurationError,
        EventError,
        FailedSend,
        LifecycleError,
        ProviderError,
        ProviderUnavailable,
        Reject,
        Retry,
        SendEventsError,
        SendRejected,
        SendTimeout,
    )
    from aspyx_event.listeners import EventListener, EventListenerDescriptor, event_listener
    from aspyx_event.manager import EventManager
    from aspyx_event.pipeline import AbstractEnvelopePipeline, EnvelopePipeline, envelope_pipeline
    from aspyx_event.provider import Capabilities, Delivery, Provider, ProviderState, Subscription
    from aspyx_event.providers import provider_from_url
    from aspyx_event.providers.amqp import AMQPProvider as AMQPProvider
    from aspyx_event.providers.amqp import AMQProvider as AMQProvider
    from aspyx_event.providers.local import LocalProvider
    from aspyx_event.providers.sqlite import SqliteProvider as SqliteProvider
    from aspyx_event.providers.stomp import StompProvider as StompProvider
    from aspyx_event.registry import EventRegistry
    from aspyx_event.retry import RetryPolicy
    from aspyx_event.topology import Difference, MissingResources, Resource, Topology

__version__ = "0.1.0"

_NAMES = {
    "aspyx_event.delivery.dead_letters": ("DeadLetter",),
    "aspyx_event.delivery.dispatcher": (
        "Abandoned",
        "StopResult",
    ),
    "aspyx_event.delivery.health": (
        "Health",
        "ListenerHealth",
    ),
    "aspyx_event.delivery.outcome": (
        "Outcome",
        "Result",
    ),
    "aspyx_event.delivery.wiring": ("Wiring",),
    "aspyx_event.envelope": (
        "Envelope",
        "current_envelope",
    ),
    "aspyx_event.events": (
        "EventDescriptor",
        "event",
    ),
    "aspyx_event.exception_manager": (
        "ExceptionManager",
        "catch",
    ),
    "aspyx_event.exceptions": (
        "AttachRefused",
        "AuthenticationFailed",
        "CodecError",
        "ConfigurationError",
        "EventError",
        "FailedSend",
        "LifecycleError",
        "ProviderError",
        "ProviderUnavailable",
        "Reject",
        "Retry",
        "SendEventsError",
        "SendRejected",
        "SendTimeout",
    ),
    "aspyx_event.listeners": (
        "EventListener",
        "EventListenerDescriptor",
        "event_listener",
    ),
    "aspyx_event.manager": ("EventManager",),
    "aspyx_event.pipeline": (
        "AbstractEnvelopePipeline",
        "EnvelopePipeline",
        "envelope_pipeline",
    ),
    "aspyx_event.provider": (
        "Capabilities",
        "Delivery",
        "Provider",
        "ProviderState",
        "Subscription",
    ),
    "aspyx_event.providers": ("provider_from_url",),
    "aspyx_event.providers.local": ("LocalProvider",),
    "aspyx_event.registry": ("EventRegistry",),
    "aspyx_event.retry": ("RetryPolicy",),
    "aspyx_event.topology": (
        "Difference",
        "MissingResources",
        "Resource",
        "Topology",
    ),
    "aspyx_event.providers.amqp": ("AMQPProvider", "AMQProvider"),
    "aspyx_event.providers.sqlite": ("SqliteProvider",),
    "aspyx_event.providers.stomp": ("StompProvider",),
}
"""Where each name is. It is imported on its first use: pytest imports this package, for its plugin, in every project,
and the package of a provider may not be installed."""

_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(module), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})


# Without the providers that are loaded on first use: ``import *`` has to work where their packages are not installed.
__all__ = [
    "Abandoned",
    "AbstractEnvelopePipeline",
    "AttachRefused",
    "AuthenticationFailed",
    "Capabilities",
    "CodecError",
    "ConfigurationError",
    "DeadLetter",
    "Delivery",
    "Difference",
    "Envelope",
    "EnvelopePipeline",
    "EventDescriptor",
    "EventError",
    "EventListener",
    "EventListenerDescriptor",
    "EventManager",
    "EventRegistry",
    "ExceptionManager",
    "FailedSend",
    "Health",
    "LifecycleError",
    "ListenerHealth",
    "LocalProvider",
    "MissingResources",
    "Outcome",
    "Provider",
    "ProviderError",
    "ProviderState",
    "ProviderUnavailable",
    "Reject",
    "Resource",
    "Result",
    "Retry",
    "RetryPolicy",
    "SendEventsError",
    "SendRejected",
    "SendTimeout",
    "StopResult",
    "Subscription",
    "Topology",
    "Wiring",
    "catch",
    "current_envelope",
    "envelope_pipeline",
    "event",
    "event_listener",
    "provider_from_url",
]
