"""Comparing RabbitMQ with what is needed, over AMQP 1.0. Queues and bindings are asked for; an exchange is there when a
link to it can be attached, which creates nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from aspyx_event.provider import Target
from aspyx_event.providers.amqp.channel import Channel
from aspyx_event.providers.amqp.dialects import rabbitmq_management as management
from aspyx_event.providers.amqp.dialects.rabbitmq_management import NOT_FOUND, Answer, encoded
from aspyx_event.providers.amqp.errors import NOT_FOUND as NO_SUCH_NODE
from aspyx_event.providers.amqp.nodes import Node, Request
from aspyx_event.providers.amqp.receiving import Refused
from aspyx_event.providers.brokers.rabbitmq import Binding
from aspyx_event.providers.brokers.rabbitmq_topology import RabbitMQTopology
from aspyx_event.timing import Deadline
from aspyx_event.topology import BINDING, DIFFERS, EXCHANGE, MISSING, UNKNOWN, Difference, Resource, text_of

Ask = Callable[[Request], Answer]

_OPTIONS = ("durable", "auto_delete")


def differences(
    channel: Channel, ask: Ask, topology: RabbitMQTopology, target: Target, deadline: Deadline
) -> list[Difference]:
    """Where the broker is not as the topology says. Raises ProviderErrors."""
    found: list[Difference] = []
    missing: set[str] = set()
    for resource in topology.resources(target):
        if resource.kind == EXCHANGE:
            problem = _exchange_problem(channel, resource.name, deadline)
        elif resource.kind == BINDING:
            ends = {resource.properties["source"], resource.properties["destination"]}
            problem = (MISSING, "create it with its ends") if ends & missing else _binding_problem(ask, resource)
        else:
            problem = _queue_problem(ask, resource)
        if problem is not None:
            found.append(Difference(resource, *problem))
            if problem[0] == MISSING and resource.kind != BINDING:
                missing.add(resource.name)
    return found


def _exchange_problem(channel: Channel, name: str, deadline: Deadline) -> tuple[str, str] | None:
    try:
        channel.try_target(Node(f"/exchanges/{encoded(name)}"), deadline)
    except Refused as error:
        if error.condition is not None and error.condition.name == NO_SUCH_NODE:
            return (MISSING, "create it: a durable fanout exchange")
        return (UNKNOWN, f"the broker does not let this user look ({error.condition})")
    return None


def _queue_problem(ask: Ask, resource: Resource) -> tuple[str, str] | None:
    answer = ask(management.get_queue(resource.name))
    if answer.status == NOT_FOUND:
        return (MISSING, f"create it with {text_of(resource.properties)}")
    if answer.refusal or not isinstance(answer.value, Mapping):
        return (UNKNOWN, f"the broker does not tell this user ({answer.refusal})")
    arguments = dict(answer.value.get("arguments") or {})
    wrong = [
        f"{key} is {found!r} and has to be {wanted!r}"
        for key, wanted in resource.properties.items()
        if (found := _value(answer.value, arguments, key)) != wanted
    ]
    return (DIFFERS, f"{', '.join(wrong)}: delete it, and have it created anew") if wrong else None


def _value(queue: Mapping[str, Any], arguments: Mapping[str, Any], key: str) -> Any:
    if key in _OPTIONS:
        return queue.get(key)
    return queue.get("type") if key == "x-queue-type" else arguments.get(key)


def _binding_problem(ask: Ask, resource: Resource) -> tuple[str, str] | None:
    wanted = resource.properties
    to_exchange = wanted["destination_type"] == "exchange"
    binding = Binding(wanted["source"], wanted["destination"], wanted["routing_key"], to_exchange)
    answer = ask(management.get_bindings(binding))
    if answer.refusal and answer.status != NOT_FOUND:
        return (UNKNOWN, f"the broker does not tell this user ({answer.refusal})")
    if answer.status == NOT_FOUND or not answer.value:
        return (MISSING, f"bind it with the key {binding.key!r}")
    return None
