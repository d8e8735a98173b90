"""What RabbitMQ says about its queues."""

from __future__ import annotations

from typing import Any, Callable
from urllib.parse import quote

from tests.integrations.amqp import support
from tests.integrations.stomp.rabbit import api

PATIENCE = 30.0


def queue_path(name: str) -> str:
    """The path of a queue in the HTTP API."""
    return f"/queues/%2F/{quote(name, safe='')}"


def queues(broker: Any) -> dict[str, dict[str, Any]]:
    """All queues by name."""
    return {queue["name"]: queue for queue in api(broker, "GET", "/queues/%2F")}


def depth(broker: Any, name: str) -> int:
    """How many messages are in a queue, unsettled ones included, counted by the queue and not by statistics."""
    body = {"count": 10_000, "ackmode": "ack_requeue_true", "encoding": "auto"}
    return len(api(broker, "POST", f"{queue_path(name)}/get", body))


def wait_until(condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
    """Look again and again; fail when it takes too long."""
    support.wait_until(condition, timeout)
