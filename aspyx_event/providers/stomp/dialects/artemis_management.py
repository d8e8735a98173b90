"""Artemis' management address over STOMP: the few operations that declaring needs."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from aspyx_event.exceptions import AttachRefused, ProviderError
from aspyx_event.providers.stomp.errors import ErrorFrame, LinkLost, refusal_of
from aspyx_event.providers.stomp.session import Session

_ADDRESS = "activemq.management"
_REPLIES = "aspyx_event.replies"
"""One MULTICAST address for everybody: each session has a temporary queue on it, which goes with its connection."""

_ALREADY_THERE = ("AMQ229204", "AMQ229019")  # address, queue
_NO_PERMISSION = ("AMQ229032", "AMQ229213", "AMQ229214")
_TRIES = 3
_PATIENCE = 10.0


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


class ManagementRefused(ProviderError):
    """This user may not use the management at all. The connection has ended."""


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
    """Operations over one session. Raises ManagementRefused when this user may not manage at all."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._id = uuid.uuid4().hex
        headers = {"subscription-type": "MULTICAST", "selector": f"JMSCorrelationID = '{self._id}'"}
        try:
            session.subscribe(_REPLIES, headers, ack="auto")
        except (ErrorFrame, LinkLost) as error:
            raise ManagementRefused(f"no replies from the broker's management: {error}") from error

    def queue(self, name: str) -> QueueState | None:
        """The queue of this name, whatever its address."""
        query = json.dumps({"field": "name", "operation": "EQUALS", "value": name})
        page = json.loads(self._call("listQueues", query, 1, 10))
        for entry in page["data"]:
            if entry["name"] == name:
                return QueueState(
                    name,
                    entry["address"],
                    _flag(entry["durable"]),
                    _flag(entry["autoDelete"]),
                    int(entry["consumerCount"]),
                )
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

    def count(self, queue: str, selector: str | None = None) -> int:
        """How many messages a queue holds, of those that a selector matches."""
        parameters = () if selector is None else (selector,)
        return int(self._call("countMessages", *parameters, resource=f"queue.{queue}"))

    def _call(self, operation: str, *parameters: Any, resource: str = "broker") -> Any:
        failed: OperationFailed | None = None
        for _ in range(_TRIES):  # while queues come and go, listQueues may fail with a NullPointerException
            succeeded, text = self._exchange(operation, parameters, resource)
            if succeeded:
                results = json.loads(text)
                return results[0] if results else None
            failed = OperationFailed(f"the broker's management answered to {operation}: {text}")
            if "is null" not in text:
                break
        raise failed or OperationFailed(f"{operation} was not answered")

    def _exchange(self, operation: str, parameters: tuple[Any, ...], resource: str) -> tuple[bool, str]:
        headers = {
            "destination": _ADDRESS,
            "_AMQ_ResourceName": resource,
            "_AMQ_OperationName": operation,
            "reply-to": _REPLIES,
            "correlation-id": self._id,
        }
        # Without content-length: with it the broker sees binary, complains, and drops the connection.
        try:
            self._session.ask("SEND", headers, json.dumps(list(parameters)).encode(), what="management")
        except (ErrorFrame, LinkLost) as error:
            if refusal_of(error) is None:
                raise
            raise ManagementRefused(f"the broker's management refused {operation}: {error}") from error
        reply = self._session.next(_PATIENCE)
        if reply is None:
            raise ProviderError(f"the broker's management did not answer to {operation}")
        return reply[0].get("_AMQ_OperationSucceeded") == "true", reply[1].decode("utf-8", "replace") or "[]"


def _flag(value: Any) -> bool:
    return str(value).lower() == "true"


def _refined(error: OperationFailed, what: str, address: str, queue: str | None) -> ProviderError:
    if any(code in str(error) for code in _NO_PERMISSION):
        return AttachRefused(f"{what} cannot be created: {error}", address=address, queue=queue)
    return ProviderError(f"{what} cannot be created: {error}")
