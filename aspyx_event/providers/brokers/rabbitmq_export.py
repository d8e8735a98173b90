"""A topology as RabbitMQ's definitions."""

from __future__ import annotations

import json
from typing import Any

from aspyx_event.topology import BINDING, EXCHANGE, QUEUE, Resource, Topology

_OPTIONS = ("durable", "auto_delete")


def rabbitmq_definitions(topology: Topology, virtual_host: str = "/") -> str:
    """JSON for ``rabbitmqctl import_definitions``, and for ``POST /api/definitions``."""
    found: dict[str, list[dict[str, Any]]] = {"exchanges": [], "queues": [], "bindings": []}
    for resource in topology.resources:
        if resource.kind == EXCHANGE:
            options = {**resource.properties, "auto_delete": False, "internal": False, "arguments": {}}
            found["exchanges"].append({"name": resource.name, "vhost": virtual_host, **options})
        elif resource.kind == QUEUE:
            found["queues"].append({"name": resource.name, "vhost": virtual_host, **_queue(resource)})
        elif resource.kind == BINDING:
            found["bindings"].append({"vhost": virtual_host, **resource.properties, "arguments": {}})
    return json.dumps(found, indent=2) + "\n"


def _queue(resource: Resource) -> dict[str, Any]:
    options = {name: resource.properties[name] for name in _OPTIONS}
    arguments = {name: value for name, value in resource.properties.items() if name not in _OPTIONS}
    return {**options, "arguments": arguments}
