"""From what a broker or a socket says to our own exceptions."""

from __future__ import annotations

from aspyx_event.exceptions import AttachRefused, AuthenticationFailed, ProviderError, ProviderUnavailable
from aspyx_event.providers.amqp.nodes import Condition

UNAUTHORIZED = "amqp:unauthorized-access"
INTERNAL_ERROR = "amqp:internal-error"
NOT_FOUND = "amqp:not-found"

_REFUSALS = (UNAUTHORIZED, NOT_FOUND, "amqp:not-allowed", "amqp:not-implemented", "amqp:precondition-failed")

_NO_PERMISSION = "does not have permission"  # in an amqp:internal-error where Artemis may not create an address


class BrokerFailed(ProviderError):
    """The broker met with an error of its own and said nothing against the request: it may succeed a moment later.

    RabbitMQ 4.0 has one for a quorum queue that another process has only just declared.
    """


def connection_error(where: str, phase: str, condition: Condition | None) -> ProviderError:
    """The error for a connection that ended, or never came into being, in this phase."""
    if phase == "SASL" and condition is not None and condition.name == UNAUTHORIZED:
        return AuthenticationFailed(
            f"{where} does not accept the credentials: check user, password or client certificate "
            f"({condition.description})"
        )
    if phase == "open":
        reason = condition or "the broker closed the connection without a reason"
        return ProviderUnavailable(f"the connection to {where} is lost: {reason}")
    return ProviderUnavailable(
        f"{where}: no connection, ended during {phase}: {condition or 'closed by the other side'}"
    )


def attach_error(what: str, condition: Condition | None, *, address: str, queue: str | None) -> ProviderError:
    """The error for a link that the broker refused or closed. ``what`` begins the message."""
    if condition is None:
        return ProviderError(f"{what}: the broker closed the link without a reason")
    if condition.name in _REFUSALS or _NO_PERMISSION in condition.description:
        return AttachRefused(f"{what}: {condition}", address=address, queue=queue)
    if condition.name == INTERNAL_ERROR:
        return BrokerFailed(f"{what}: {condition}")
    return ProviderError(f"{what}: {condition}")
