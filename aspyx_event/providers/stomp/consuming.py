"""The connection of a subscription: declared and attached again each time, and what is reported about it."""

from __future__ import annotations

from typing import Callable, Optional

from aspyx_event.exceptions import AttachRefused, ConfigurationError, ProviderError
from aspyx_event.providers.stomp.channel import HOPELESS, Channel, Opener
from aspyx_event.providers.stomp.errors import as_provider_error
from aspyx_event.providers.stomp.link import Link
from aspyx_event.providers.stomp.subscription import StompSubscription

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
    """

    def up(link: Link) -> None:
        if channel.first.done():
            declare()
        subscription.attach(link, timeout=channel.left)

    def ready() -> None:
        if subscription.refused:
            subscription.refused = False
            refused(subscription, None)
        report()

    def down(error: BaseException, _pause: Optional[float]) -> None:
        subscription.detach()
        if subscription.closed or not channel.first.done():
            return
        if isinstance(error, _REFUSALS):
            subscription.refused = True
            refused(subscription, as_provider_error(error))
        else:
            report(as_provider_error(error))

    final = (*HOPELESS, AttachRefused)
    channel = Channel(name, opener, up=up, ready=ready, down=down, final=final, patience=patience)
    subscription.channel = channel
    channel.start()
    return channel
