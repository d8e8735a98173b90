"""What a registry needs of its provider's broker, and whether it is there."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence

from aspyx_event.provider import Provider, ProviderState, Target
from aspyx_event.registry import EventRegistry
from aspyx_event.timing import Deadline
from aspyx_event.topology import Difference

logger = logging.getLogger(__name__)

_GOODBYE = 2.0


def declarations(provider: Provider, registry: EventRegistry) -> list[Sequence[Target]]:
    """What ``start()`` declares, with or without listening: other queues come and go with their listeners.

    In groups, one after the other; within a group the order has no meaning.
    """
    durable = [listener for listener in registry.listeners if listener.durable]
    return [[provider.error_queue], list(registry.events), durable]


def needs(provider: Provider, registry: EventRegistry) -> list[Target]:
    """Everything: the error queue, all events and all listeners."""
    return [provider.error_queue, *registry.events, *registry.listeners]


def check(provider: Provider, targets: Iterable[Target], *, running: bool, timeout: float) -> list[Difference]:
    """Where the broker differs; a provider that is not running is started, for this question alone."""
    if running:
        return provider.check(targets, timeout=timeout)
    with started(provider, timeout) as deadline:
        return provider.check(targets, timeout=deadline.left() or 0.0)


@contextlib.contextmanager
def started(provider: Provider, timeout: float) -> Iterator[Deadline]:
    """A provider that is started, and stopped again; yields what is left of the time."""
    deadline = Deadline(timeout)
    provider.start(_quietly, timeout=timeout)
    try:
        yield deadline
    finally:
        provider.stop(timeout=_GOODBYE)


def _quietly(state: ProviderState) -> None:
    logger.debug("while checking the topology: %s", state)
