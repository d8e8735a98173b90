"""A topology as RabbitMQ's definitions."""

from __future__ import annotations

import json
from typing import Any

from aspyx_event.providers.brokers import rabbitmq as rules
from aspyx_event.topology import BINDING, EXCHANGE, QUEUE, Resource, Topology

_OPTIONS = ("durable", "auto_delete")


def rabbitmq_definitions(topology: Topology, virtual_host: str = "/") -> str:
    """JSON for ``rabbitmqctl import_definitions``, and for ``POST /api/definitions``.

    The policy for delayed events is in it, which STOMP needs and AMQP does not mind.
    """
    found: dict[str, list[dict[str, Any]]] = {"exchanges": [], "queues": [], "bindings": []}
    for resource in topology.resources:
        if resource.kind == EXCHANGE:
            options = {**resource.properties, "auto_delete": False, "internal": False, "arguments": {}}
            found["exchanges"].append({"name": resource.name, "vhost": virtual_host, **options})
        elif resource.kind == QUEUE:
            found["queues"].append({"name": resource.name, "vhost": virtual_host, **_queue(resource)})
        elif resource.kind == BINDING:
            found["bindings"].append({"vhost": virtual_host, **resource.properties, "arguments": {}})
    if any(queue["arguments"].get("x-queue-type") == "quorum" for queue in found["queues"]):
        found["policies"] = [{"name": rules.POLICY_NAME, "vhost": virtual_host, **rules.POLICY}]
    return json.dumps(found, indent=2) + "\n"


def _queue(resource: Resource) -> dict[str, Any]:
    options = {name: resource.properties[name] for name in _OPTIONS}
    arguments = {name: value for name, value in resource.properties.items() if name not in _OPTIONS}
    return {**options, "arguments": arguments}
