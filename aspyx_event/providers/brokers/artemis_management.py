"""Artemis' management address: the few operations that declaring and checking need, whatever carries them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any

from aspyx_event.exceptions import AttachRefused, ProviderError
from aspyx_event.providers.brokers.artemis import MULTICAST, QueueState

ADDRESS = "activemq.management"

_ALREADY_THERE = ("AMQ229204", "AMQ229019")  # address, queue
_NO_PERMISSION = ("AMQ229032", "AMQ229213", "AMQ229214")
_TRIES = 3


class OperationFailed(ProviderError):
    """The broker took the request and answered with an error."""


class Management(ABC):
    """Operations under one deadline. What carries them raises an error of its own when this user may not manage."""

    @abstractmethod
    def exchange(self, resource: str, operation: str, parameters: str) -> tuple[bool, str]:
        """Ask, and wait for the answer: whether it succeeded, and the JSON array that came back. ``parameters`` is a
        JSON array."""

    def queue(self, name: str) -> QueueState | None:
        """The queue of this name, whatever its address."""
        entry = self._find("listQueues", name)
        if entry is None:
            return None
        durable, auto_delete = _flag(entry["durable"]), _flag(entry["autoDelete"])
        return QueueState(
            name, entry["address"], entry["routingType"], durable, auto_delete, int(entry["consumerCount"])
        )

    def routing_types(self, address: str) -> frozenset[str] | None:
        """The routing types of an address; None when there is none of this name."""
        entry = self._find("listAddresses", address)
        if entry is None:
            return None
        return frozenset(word.strip(" []") for word in str(entry["routingTypes"]).split(",") if word.strip(" []"))

    def create_queue(self, options: dict[str, Any]) -> None:
        """Create a queue and its address; not an error when it is there."""
        try:
            self._call("createQueue", json.dumps(options), True)
        except OperationFailed as error:
            raise _refined(error, f"queue {options['name']!r}", options["address"], options["name"]) from error

    def create_address(self, name: str) -> None:
        """Create a MULTICAST address; not an error when it is there."""
        try:
            self._call("createAddress", name, MULTICAST)
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

    def count(self, queue: str, selector: str | None = None) -> int:
        """How many messages a queue holds, of those that a selector matches."""
        parameters = () if selector is None else (selector,)
        return int(self._call("countMessages", *parameters, resource=f"queue.{queue}"))

    def _find(self, operation: str, name: str) -> dict[str, Any] | None:
        query = json.dumps({"field": "name", "operation": "EQUALS", "value": name})
        page = json.loads(self._call(operation, query, 1, 10))
        found: dict[str, Any] | None = next((entry for entry in page["data"] if entry["name"] == name), None)
        return found

    def _call(self, operation: str, *parameters: Any, resource: str = "broker") -> Any:
        failed: OperationFailed | None = None
        for _ in range(_TRIES):  # while queues come and go, listQueues may fail with a NullPointerException
            succeeded, text = self.exchange(resource, operation, json.dumps(list(parameters)))
            if succeeded:
                results = json.loads(text or "[]")
                return results[0] if results else None
            failed = OperationFailed(f"the broker's management answered to {operation}: {text}")
            if "is null" not in text:
                break
        raise failed or OperationFailed(f"{operation} was not answered")


def _flag(value: Any) -> bool:
    return str(value).lower() == "true"


def _refined(error: OperationFailed, what: str, address: str, queue: str | None) -> ProviderError:
    if any(code in str(error) for code in _NO_PERMISSION):
        return AttachRefused(f"{what} cannot be created: {error}", address=address, queue=queue)
    return ProviderError(f"{what} cannot be created: {error}")
