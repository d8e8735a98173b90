"""How much each broker says that its queues hold, asked without this library."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import stomp

from tests.integrations.stomp.rabbit import api

if TYPE_CHECKING:
    from tests.brokers import Broker

_MANY = 10_000


def depths(broker: Broker, event: str, listener: str, prefix: str) -> dict[str, int]:
    """Messages by queue, of the queues of an application that hold any."""
    found: dict[str, int] = _ASK[broker.name](broker, event, listener, prefix)
    return {name: count for name, count in found.items() if count}


def _artemis(broker: Any, event: str, listener: str, prefix: str) -> dict[str, int]:
    """Every queue with the prefix; scheduled messages are counted."""
    from tests.brokers.management import ArtemisManagement

    with ArtemisManagement(broker) as management:
        return {name: found.message_count for name, found in management.queues().items() if prefix in name}


def _rabbitmq(broker: Any, event: str, listener: str, prefix: str) -> dict[str, int]:
    """Every queue with the prefix, those of delays too. Counters lag behind; what can be got is there now.

    From a queue that has no leader (killed in its first second) nothing can be got, not even an answer.
    """
    silent = broker.control("list_unresponsive_queues").split()
    there = [found["name"] for found in api(broker, "GET", "/queues/%2F?disable_stats=true")]
    names = [name for name in there if prefix in name and name not in silent]
    look = {"count": _MANY, "ackmode": "ack_requeue_true", "encoding": "base64"}
    return {name: len(api(broker, "POST", f"/queues/%2F/{quote(name, safe='')}/get", look)) for name in names}


def _activemq(broker: Any, event: str, listener: str, prefix: str) -> dict[str, int]:
    """The listener's queue and the error queue, browsed. Delayed messages wait elsewhere."""
    connection = stomp.Connection12([(broker.host, broker.stomp_port)], auto_decode=False)
    browser = _Browser()
    connection.set_listener("", browser)
    connection.connect(broker.user, broker.password, wait=True)
    try:
        found = {}
        for name in (f"Consumer.{prefix}~{listener}.VirtualTopic.{event}", f"{prefix}.error"):
            wanted = {"browser": "true", "activemq.prefetchSize": str(_MANY)}
            connection.subscribe(f"/queue/{name}", name, ack="auto", headers=wanted)
            found[name] = browser.count()
        return found
    finally:
        connection.disconnect()


class _Browser(stomp.ConnectionListener):  # type: ignore[misc]
    def __init__(self) -> None:
        self._seen: queue.Queue[bool] = queue.Queue()

    def on_message(self, frame: Any) -> None:
        self._seen.put(frame.headers.get("browser") != "end")

    def count(self) -> int:
        """How many messages come before the one that ends the list."""
        count = 0
        while self._seen.get(timeout=10):
            count += 1
        return count


_ASK = {"artemis": _artemis, "rabbitmq": _rabbitmq, "activemq": _activemq}
