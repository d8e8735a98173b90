"""The connection of a subscription: declared and attached again each time, and what is reported about it."""

from __future__ import annotations

import logging
import time
from typing import Callable, Optional

from aspyx_event.exceptions import AttachRefused, ConfigurationError, ProviderError
from aspyx_event.providers.stomp.channel import HOPELESS, Channel, Opener
from aspyx_event.providers.stomp.errors import as_provider_error
from aspyx_event.providers.stomp.link import Link
from aspyx_event.providers.stomp.subscription import StompSubscription

logger = logging.getLogger(__name__)

_REFUSALS = (AttachRefused, ConfigurationError)


def keep_attached(
    subscription: StompSubscription,
    opener: Opener,
    name: str,
    *,
    patience: float | None,
    declare: Callable[[], None],
    refused: Callable[[StompSubscription, Optional[ProviderError]], None],
    report: Callable[..., None],
) -> Channel:
    """Start the channel that keeps a subscription attached; its queue is declared already for the first time.

    refused(subscription, error): the broker does not let us attach any more; None: now it does. report(error): the
    connection is lost; report(): it is there. All are called on the channel's thread.

    A consumer that has got nothing for a while is made anew where the dialect says so. Artemis ends the consumer of a
    message that it cannot convert, as it does some that were sent over AMQP, and tells nobody; its queue waits then.
    """
    refreshing = False  # a queue that was attached a moment ago needs no declaration

    def up(link: Link) -> None:
        if channel.first.done() and not refreshing:
            declare()
        subscription.attach(link, timeout=channel.left)

    def idle(link: Link) -> None:
        nonlocal refreshing
        silence = subscription.dialect.silence
        if silence is not None and subscription.waiting and time.monotonic() - link.message_at >= silence:
            logger.debug("%s: no message for %.0f s, subscribing anew", name, silence)
            refreshing = True
            channel.recycle(link)

    def ready() -> None:
        nonlocal refreshing
        refreshing = False
        if subscription.refused:
            subscription.refused = False
            refused(subscription, None)
        report()

    def down(error: BaseException, _pause: Optional[float]) -> None:
        nonlocal refreshing
        refreshing = False
        subscription.detach()
        if subscription.closed or not channel.first.done():
            return
        if isinstance(error, _REFUSALS):
            subscription.refused = True
            refused(subscription, as_provider_error(error))
        else:
            report(as_provider_error(error))

    final = (*HOPELESS, AttachRefused)
    channel = Channel(name, opener, up=up, ready=ready, down=down, idle=idle, final=final, patience=patience)
    subscription.channel = channel
    channel.start()
    return channel
