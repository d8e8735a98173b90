"""Artemis: addresses, queues and settings, the same over AMQP 1.0 and over STOMP.

An event is a MULTICAST address, a listener a queue on it, the error queue an ANYCAST address with one queue of its
name. Names of queues are unique on a broker, whatever their address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Target
from aspyx_event.providers.brokers.lifetimes import lifetime_of
from aspyx_event.providers.naming import Naming, split_queue_name
from aspyx_event.topology import ADDRESS, DEAD_LETTERS, QUEUE, SETTING, Resource

MULTICAST, ANYCAST = "MULTICAST", "ANYCAST"
CRASH_LIMIT = 8
MAX_DELIVERY_ATTEMPTS = 10
DEAD_LETTER_ADDRESS = "DLQ"
STOMP_REPLIES = "aspyx_event.replies"
"""A MULTICAST address for what the management answers over STOMP: each session has a temporary queue on it, which goes
with its connection."""

_NOT_ALLOWED = "this user may not use the broker's management ('manage' on activemq.management)"
UNCHECKED = f"declare=False, and {_NOT_ALLOWED}: whether everything is there, and as it has to be, could not be checked"
_UNCOUNTED = "; over STOMP we cannot count them, so set it to 10 or more"


@dataclass(frozen=True)
class QueueState:
    """One queue as the broker describes it."""

    name: str
    address: str
    routing: str
    durable: bool
    auto_delete: bool
    consumers: int


def queue_options(name: str, address: str, routing: str, *, durable: bool, lifetime: float | None) -> dict[str, Any]:
    """What createQueue takes. ``lifetime``: seconds after the last consumer until it is deleted, messages or not."""
    options: dict[str, Any] = {
        "name": name,
        "address": address,
        "routing-type": routing,
        "durable": durable,
        "auto-create-address": True,
        "auto-delete": lifetime is not None,
    }
    if lifetime is not None:
        options["auto-delete-delay"] = round(lifetime * 1000)
        options["auto-delete-message-count"] = -1
    return options


def options_for(listener: EventListenerDescriptor, naming: Naming) -> dict[str, Any]:
    """What createQueue takes for a listener's queue."""
    address, name = split_queue_name(naming.queue_name(listener))
    return queue_options(name, address, MULTICAST, durable=listener.event.durable, lifetime=lifetime_of(listener))


def options_for_plain(name: str) -> dict[str, Any]:
    """What createQueue takes for the error queue."""
    return queue_options(name, name, ANYCAST, durable=True, lifetime=None)


# -- what has to be there ------------------------------------------------------------------------------------------


def resources(target: Target, naming: Naming) -> list[Resource]:
    """What a target needs, in the order in which it can be created."""
    if isinstance(target, EventDescriptor):
        return _event_resources(target, target.name)
    if isinstance(target, str):
        return [
            Resource(ADDRESS, target, {"routing-type": ANYCAST}, (DEAD_LETTERS,)),
            queue_resource(options_for_plain(target), DEAD_LETTERS),
        ]
    return [
        *_event_resources(target.event, target.name),
        queue_resource(options_for(target, naming), target.name),
    ]


def _event_resources(event: EventDescriptor, user: str) -> list[Resource]:
    found = [Resource(ADDRESS, event.name, {"routing-type": MULTICAST}, (user,))]
    if event.durable:
        found.append(setting_resource(event.name, user))
    return found


def setting_resource(address: str, user: str) -> Resource:
    """The settings of a durable event's address."""
    properties = {
        "dead-letter-address": DEAD_LETTER_ADDRESS,
        "max-delivery-attempts": MAX_DELIVERY_ATTEMPTS,
        "auto-delete-queues": False,
        "auto-delete-addresses": False,
    }
    return Resource(SETTING, address, properties, (user,))


def queue_resource(options: Mapping[str, Any], user: str) -> Resource:
    """A queue by the options that create it."""
    properties = {name: value for name, value in options.items() if name not in ("name", "auto-create-address")}
    return Resource(QUEUE, options["name"], properties, (user,))


# -- what is found fault with --------------------------------------------------------------------------------------


def misplaced(target: Target, found: QueueState, address: str) -> ConfigurationError:
    """The error for a queue that sits on another address than it has to."""
    if isinstance(target, EventListenerDescriptor):
        return ConfigurationError(
            f"listener {target.name!r}: its queue {found.name!r} must sit on the address {address!r}, but on this "
            f"broker {elsewhere(found)}, so give the listener another name, or the provider a prefix"
        )
    return ConfigurationError(
        f"the queue {found.name!r} sits on the address {found.address!r}, where a listener of that name reads: "
        "choose another error_queue, or give the provider a prefix"
    )


def elsewhere(found: QueueState) -> str:
    """What is said of a queue on another address."""
    return f"a queue of that name sits on {found.address!r}: names of queues are unique on a broker"


def queue_findings(listener: EventListenerDescriptor, found: QueueState) -> list[str]:
    """What is wrong with a listener's queue that is there."""
    who = f"queue {found.name!r} of listener {listener.name!r} is there already and"
    findings = []
    if listener.durable and not found.durable:
        findings.append(f"{who} not durable, although its event is: delete it once, and have it created anew")
    if listener.durable and found.auto_delete:
        findings.append(
            f"{who} auto-delete: the broker removes it while the listener is away, and drops events "
            "(auto-delete-queues is true); set that to false, and delete the queue once"
        )
    if not listener.event.durable and found.durable:
        findings.append(
            f"{who} durable, although its event is not: it goes on collecting events while the listener is away; "
            "delete it once, and have it created anew"
        )
    return findings


def shared_findings(listener: EventListenerDescriptor, found: QueueState) -> list[str]:
    """Whether another process reads a queue that is meant for one process alone. Before anything is attached."""
    if not listener.per_process or not found.consumers:
        return []
    text = (
        f"queue {found.name!r} of the per_process listener {listener.name!r} has a consumer already: another process "
        "uses the same server_name, and each of them gets only a part of the events"
    )
    return [text]


def settings_findings(address: str, settings: Mapping[str, Any] | None, *, counted: bool) -> list[str]:
    """What is wrong with the settings of a durable event's address.

    counted: whether the broker tells how often it has delivered a message, so that our own limit comes first.
    """
    if settings is None:
        return [f"the settings of address {address!r} could not be read"]
    findings = []
    attempts = settings.get("maxDeliveryAttempts", MAX_DELIVERY_ATTEMPTS)
    if 0 < attempts <= (CRASH_LIMIT if counted else MAX_DELIVERY_ATTEMPTS - 1):
        why = f" (crash limit {CRASH_LIMIT}); set it to 10" if counted else _UNCOUNTED
        findings.append(
            f"address {address!r}: max-delivery-attempts is {attempts}: the broker takes an event away after so many "
            f"crashes of its listener, before it gets to the error queue{why}"
        )
    if not settings.get("deadLetterAddress"):
        findings.append(
            f"address {address!r}: no dead-letter-address is set: the broker drops an event that reaches "
            "max-delivery-attempts"
        )
    return findings


def cannot_manage(listener: EventListenerDescriptor, naming: Naming) -> str:
    """What is said when a listener's queue is created by attaching to it."""
    text = (
        f"queue {naming.queue_name(listener)!r}: {_NOT_ALLOWED}, so neither its address nor the settings there could "
        "be checked, and it is created by attaching"
    )
    if listener.durable:
        return text
    return f"{text}: durable, and the broker does not remove it when it is not needed any more"
