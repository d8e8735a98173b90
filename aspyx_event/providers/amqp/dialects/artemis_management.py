"""Artemis' management address: the few operations that declaring needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from aspyx_event.exceptions import AttachRefused, ProviderError
from aspyx_event.providers.amqp import sections as s
from aspyx_event.providers.amqp.channel import Channel
from aspyx_event.providers.amqp.nodes import Node
from aspyx_event.timing import Deadline

_ADDRESS = Node("activemq.management")
_REPLY = Node(None, dynamic=True)

_ALREADY_THERE = ("AMQ229204", "AMQ229019")  # address, queue
_NO_PERMISSION = ("AMQ229032", "AMQ229213", "AMQ229214")


@dataclass(frozen=True)
class QueueState:
    """One queue as the broker describes it."""

    name: str
    address: str
    durable: bool
    auto_delete: bool
    consumers: int


class OperationFailed(ProviderError):
    """The broker took the request and answered with an error."""


def queue_options(
    name: str, address: str, routing: str, *, durable: bool, lifetime: float | None = None
) -> dict[str, Any]:
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


class Management:
    """Operations under one deadline. Raises RequestRefused when this user may not manage at all."""

    def __init__(self, channel: Channel, deadline: Deadline) -> None:
        self._channel = channel
        self._deadline = deadline

    def queue(self, name: str) -> QueueState | None:
        """The queue of this name, whatever its address."""
        query = json.dumps({"field": "name", "operation": "EQUALS", "value": name})
        page = json.loads(self._call("listQueues", query, 1, 10))
        for entry in page["data"]:
            if entry["name"] == name:
                durable, auto_delete = _flag(entry["durable"]), _flag(entry["autoDelete"])
                return QueueState(name, entry["address"], durable, auto_delete, int(entry["consumerCount"]))
        return None

    def create_queue(self, options: dict[str, Any]) -> None:
        """Create a queue and its address; not an error when it is there."""
        try:
            self._call("createQueue", json.dumps(options), True)
        except OperationFailed as error:
            raise _refined(error, f"queue {options['name']!r}", options["address"], options["name"]) from error

    def create_address(self, name: str) -> None:
        """Create a MULTICAST address; not an error when it is there."""
        try:
            self._call("createAddress", name, "MULTICAST")
        except OperationFailed as error:
            if not any(code in str(error) for code in _ALREADY_THERE):
                raise _refined(error, f"address {name!r}", name, None) from error

    def address_settings(self, address: str) -> dict[str, Any] | None:
        """The settings that hold for an address; what is not among them has its default. None: cannot be read."""
        try:
            settings = json.loads(self._call("getAddressSettingsAsJSON", address))
        except (OperationFailed, ValueError, TypeError):
            return None
        return settings if isinstance(settings, dict) else None

    def _call(self, operation: str, *parameters: Any) -> Any:
        headers = {"_AMQ_ResourceName": "broker", "_AMQ_OperationName": operation}
        body = s.string_value_section(json.dumps(list(parameters)))

        def make(request_id: str, reply_to: str) -> bytes:
            return s.join(s.Outgoing(message_id=request_id, reply_to=reply_to, headers=headers), body)

        reply = self._channel.request(_ADDRESS, _REPLY, make, self._deadline)
        values = s.body_values(reply.body)
        text = values[0] if values and isinstance(values[0], str) else "[]"
        if dict(reply.application_properties).get("_AMQ_OperationSucceeded") is not True:
            raise OperationFailed(f"the broker's management answered to {operation}: {text}")
        results = json.loads(text)
        return results[0] if results else None


def _flag(value: Any) -> bool:
    return str(value).lower() == "true"


def _refined(error: OperationFailed, what: str, address: str, queue: str | None) -> ProviderError:
    if any(code in str(error) for code in _NO_PERMISSION):
        return AttachRefused(f"{what} cannot be created: {error}", address=address, queue=queue)
    return ProviderError(f"{what} cannot be created: {error}")
