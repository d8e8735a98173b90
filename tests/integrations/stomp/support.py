"""What the STOMP tests share."""

from __future__ import annotations

from collections.abc import Iterable

from aspyx_event.events import EventDescriptor
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Delivery
from aspyx_event.providers.stomp import StompProvider
from tests.integrations.amqp.support import TIMEOUT, a_listener, an_envelope, an_event


def fill(provider: StompProvider, count: int) -> tuple[EventDescriptor, EventListenerDescriptor]:
    """A listener's queue with so many events."""
    event = an_event()
    listener = a_listener(event)
    provider.declare(listener, timeout=TIMEOUT)
    for confirmation in [provider.send(an_envelope(number), event) for number in range(count)]:
        confirmation.result(TIMEOUT)
    return event, listener


def ids(deliveries: Iterable[Delivery]) -> list[str]:
    """Their event ids."""
    return [delivery.read().id for delivery in deliveries]
