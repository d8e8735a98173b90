"""Ask Artemis what it holds, over its own AMQP management: what the tests assert on, and how they clean up."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from .artemis import ArtemisBroker

_POLL = 0.05


class ManagementError(Exception):
    """The broker refused a management operation; the text is the broker's."""


@dataclass(frozen=True)
class QueueState:
    """One queue as the broker counts it. `message_count` includes what is being delivered and what is scheduled."""

    name: str
    address: str
    routing_type: str
    durable: bool
    auto_created: bool
    auto_delete: bool
    message_count: int
    delivering_count: int
    scheduled_count: int
    consumer_count: int
    messages_added: int
    messages_acked: int
    raw: dict[str, Any]


class ArtemisManagement:
    """A management session of one user. Not thread-safe; use it as a context manager.

    It reconnects by itself, so it outlives a restart of the broker.
    """

    def __init__(self, broker: ArtemisBroker, *, user: str = "", password: str = "") -> None:
        self._broker = broker
        self._user = user or broker.user
        self._password = password or broker.password
        self._link: tuple[Any, Any, Any] | None = None

    def __enter__(self) -> ArtemisManagement:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._link is not None:
            connection = self._link[0]
            self._link = None
            with suppress(ConnectionError, self._broken()):
                connection.close()

    @staticmethod
    def _broken() -> type[Exception]:
        from proton import ProtonException

        return ProtonException

    def call(self, operation: str, *parameters: object, resource: str = "broker") -> Any:
        """Call an operation of a resource ("broker", "queue.NAME", "address.NAME") and return its result."""
        return self._request({"_AMQ_ResourceName": resource, "_AMQ_OperationName": operation}, parameters)

    def attribute(self, name: str, *, resource: str = "broker") -> Any:
        """Read an attribute of a resource."""
        return self._request({"_AMQ_ResourceName": resource, "_AMQ_Attribute": name}, ())

    def queues(self) -> dict[str, QueueState]:
        """Return every queue of the broker by name, temporary and internal ones left out."""
        return self._queues({})

    def queue(self, name: str) -> QueueState | None:
        """Return one queue, or None when the broker has none of this name."""
        return self._queues({"field": "name", "operation": "EQUALS", "value": name}).get(name)

    def addresses(self) -> set[str]:
        return set(self.call("getAddressNames"))

    def address_settings(self, address: str) -> dict[str, Any]:
        """Return the settings that hold for an address."""
        settings: dict[str, Any] = json.loads(self.call("getAddressSettingsAsJSON", address))
        return settings

    def purge(self, queue: str) -> int:
        """Remove all messages of a queue; return how many there were."""
        return int(self.call("removeAllMessages", resource=f"queue.{queue}"))

    def delete_queue(self, queue: str) -> None:
        """Delete a queue, its consumers and its messages."""
        self.call("destroyQueue", queue, True)

    def wait_for(
        self, queue: str, condition: Callable[[QueueState | None], bool], *, timeout: float = 10
    ) -> QueueState | None:
        """Return the queue once the condition holds for it (None stands for "no such queue"), else AssertionError."""
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while not condition(state := self.queue(queue)):
            if time.monotonic() > deadline:
                raise AssertionError(f"queue {queue!r} after {timeout:.0f} s: {state}")
            pause.wait(_POLL)
        return state

    def _queues(self, query: dict[str, str]) -> dict[str, QueueState]:
        page = json.loads(self.call("listQueues", json.dumps(query) if query else "", 1, 10000))
        states = (_queue_state(entry) for entry in page["data"])
        return {
            state.name: state
            for state in states
            if not any(str(state.raw[key]).lower() == "true" for key in ("temporary", "internalQueue"))
        }

    def _request(self, properties: dict[str, str], parameters: tuple[object, ...]) -> Any:
        from proton import ConnectionException, Message, Timeout
        from proton.utils import SendException

        for attempt in (1, 2):
            sender, receiver = self._connected()
            try:
                sender.send(
                    Message(
                        properties=properties,
                        body=json.dumps(list(parameters)),
                        reply_to=receiver.link.remote_source.address,
                    )
                )
                reply = receiver.receive(timeout=10)
                receiver.accept()
            except SendException as error:
                raise ManagementError("the broker rejected the request: this user may not manage") from error
            except (ConnectionException, Timeout):
                self.close()
                if attempt == 2:
                    raise
                continue
            result = json.loads(reply.body or "[]")
            if not reply.properties["_AMQ_OperationSucceeded"]:
                raise ManagementError(str(result))
            return result[0] if result else None
        raise AssertionError("unreachable")

    def _connected(self) -> tuple[Any, Any]:
        if self._link is None:
            from proton.utils import BlockingConnection

            connection = BlockingConnection(
                f"amqp://{self._broker.host}:{self._broker.amqp_port}",
                timeout=10,
                user=self._user,
                password=self._password,
                allowed_mechs="PLAIN",
            )
            receiver = connection.create_receiver(None, dynamic=True)
            self._link = (connection, connection.create_sender("activemq.management"), receiver)
        return self._link[1], self._link[2]


def _queue_state(entry: dict[str, Any]) -> QueueState:
    def flag(key: str) -> bool:
        return str(entry[key]).lower() == "true"

    return QueueState(
        name=entry["name"],
        address=entry["address"],
        routing_type=entry["routingType"],
        durable=flag("durable"),
        auto_created=flag("autoCreated"),
        auto_delete=flag("autoDelete"),
        message_count=int(entry["messageCount"]),
        delivering_count=int(entry["deliveringCount"]),
        scheduled_count=int(entry["scheduledCount"]),
        consumer_count=int(entry["consumerCount"]),
        messages_added=int(entry["messagesAdded"]),
        messages_acked=int(entry["messagesAcked"]),
        raw=entry,
    )
