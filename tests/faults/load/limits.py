"""Brokers that take no more than so much."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from tests.faults.pairs import Pair


@contextmanager
def address_limit(broker: Any, address: str, policy: str, bytes: int) -> Iterator[None]:
    """Artemis holds no more than so many bytes on an address; BLOCK: grants no credit then, FAIL: refuses."""
    from tests.brokers.management import ArtemisManagement

    with ArtemisManagement(broker) as management:
        wanted = {"addressFullMessagePolicy": policy, "maxSizeBytes": bytes, "pageSizeBytes": bytes // 2}
        management.call("addAddressSettings", address, json.dumps(wanted))
        try:
            yield
        finally:
            management.call("removeAddressSettings", address)


@contextmanager
def queue_limit(broker: Any, queue: str, length: int) -> Iterator[None]:
    """RabbitMQ holds no more than so many messages in a classic queue, and refuses more."""
    from tests.integrations.stomp.rabbit import api

    policy = {
        "pattern": f"^{queue}$",
        "apply-to": "classic_queues",
        "definition": {"max-length": length, "overflow": "reject-publish"},
        "priority": 10,
    }
    path = f"/policies/%2F/full-{queue}"
    api(broker, "PUT", path, policy)
    try:
        yield
    finally:
        api(broker, "DELETE", path)


def full_after_one(pair: Pair, queue: str) -> AbstractContextManager[None]:
    """A plain queue that holds a message, and takes no other one."""
    if pair.broker.name == "artemis":
        return address_limit(pair.broker, queue, "FAIL", 1_000)
    return queue_limit(pair.broker, queue, 1)
