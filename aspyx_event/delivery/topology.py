"""What a registry needs of its provider's broker, and whether it is there."""

from __future__ import annotations

import logging

from aspyx_event.provider import Provider, ProviderState, Target
from aspyx_event.registry import EventRegistry
from aspyx_event.timing import Deadline
from aspyx_event.topology import Difference, Topology

logger = logging.getLogger(__name__)

_GOODBYE = 2.0


def declarations(provider: Provider, registry: EventRegistry) -> list[Target]:
    """What ``start()`` declares, with or without listening: other queues come and go with their listeners."""
    durable = [listener for listener in registry.listeners if listener.durable]
    return [provider.error_queue, *registry.events, *durable]


def needs(provider: Provider, registry: EventRegistry) -> list[Target]:
    """Everything: the error queue, all events and all listeners."""
    return [provider.error_queue, *registry.events, *registry.listeners]


def topology(provider: Provider, registry: EventRegistry) -> Topology:
    """What the broker has to hold. Raises LifecycleError while its kind is not known."""
    return provider.topology(needs(provider, registry))


def check(provider: Provider, registry: EventRegistry, *, running: bool, timeout: float) -> list[Difference]:
    """Where the broker differs; a provider that is not started is, for this question alone."""
    targets, deadline = needs(provider, registry), Deadline(timeout)
    if running:
        return provider.check(targets, timeout=timeout)
    provider.start(_quietly, timeout=timeout)
    try:
        return provider.check(targets, timeout=deadline.left() or 0.0)
    finally:
        provider.stop(timeout=_GOODBYE)


def _quietly(state: ProviderState) -> None:
    logger.debug("while checking the topology: %s", state)
