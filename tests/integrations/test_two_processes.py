"""The main job: one process sends orders, others handle them, on a real Artemis; and what SIGKILL does to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("proton")

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker
    from tests.brokers.management import ArtemisManagement

pytestmark = pytest.mark.artemis

SCRIPT = Path(__file__).with_name("order_service.py")


class Service:
    """Starts the two programs with a ledger, an event name and a prefix of their own."""

    def __init__(self, broker: ArtemisBroker, folder: Path) -> None:
        self.name = f"OrderPlaced{uuid.uuid4().hex[:8]}"
        self.queue = f"{self.name}.billing-{self.name}"
        self.ledger = folder / "ledger.txt"
        self.ledger.touch()
        self.url = f"amqp://{broker.user}:{broker.password}@127.0.0.1:{broker.amqp_port}/?prefix={self.name}"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), arguments[0], self.url, *arguments[1:]],
            env={**os.environ, "ORDER_EVENT": self.name, "ORDER_LEDGER": str(self.ledger), **environment},
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, count: int, **environment: str) -> None:
        with self.start("send", str(count), **environment) as process:
            assert process.wait(60) == 0

    def handled(self) -> Counter[int]:
        return Counter(int(line) for line in self.ledger.read_text().split())


def finish(process: subprocess.Popen[str]) -> dict[str, int]:
    """SIGTERM, and the counts that the program prints."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 0, output
    counts: dict[str, int] = json.loads(output.splitlines()[-1])
    return counts


@pytest.fixture
def service(artemis: ArtemisBroker, tmp_path: Path) -> Service:
    return Service(artemis.start(), tmp_path)


def test_ten_thousand_orders(service: Service, artemis_management: ArtemisManagement) -> None:
    """Ten thousand confirmed orders are each handled once, and the broker's queue is empty afterwards."""
    listener = service.start("listen")
    artemis_management.wait_for(
        service.queue, lambda queue: queue is not None and queue.consumer_count == 1, timeout=30
    )
    service.send(10_000)
    artemis_management.wait_for(
        service.queue, lambda queue: queue is not None and queue.messages_acked == 10_000, timeout=60
    )
    counts = finish(listener)
    queue = artemis_management.queue(service.queue)
    assert counts == {"handled": 10_000, "dead": 0}
    assert service.handled() == Counter(range(10_000))
    assert queue is not None
    assert (queue.message_count, queue.delivering_count, queue.scheduled_count) == (0, 0, 0)


def test_orders_wait_for_a_durable_listener(service: Service, artemis_management: ArtemisManagement) -> None:
    """What was confirmed while the listener was down is handled when it comes back, the failing ones dead-lettered."""
    first = service.start("listen")
    artemis_management.wait_for(
        service.queue, lambda queue: queue is not None and queue.consumer_count == 1, timeout=30
    )
    assert finish(first) == {"handled": 0, "dead": 0}
    service.send(200, ORDER_BAD="2")
    second = service.start("listen")
    artemis_management.wait_for(
        f"{service.name}.error", lambda queue: queue is not None and queue.message_count == 2, timeout=60
    )
    artemis_management.wait_for(service.queue, lambda queue: queue is not None and queue.message_count == 0, timeout=60)
    assert finish(second) == {"handled": 198, "dead": 2}
    assert service.handled() == Counter({**dict.fromkeys(range(198), 1), 198: 4, 199: 4})


def test_a_killed_listener_loses_nothing(service: Service, artemis_management: ArtemisManagement) -> None:
    """SIGKILL after a listener's effects and before the accept: everything is handled, by whoever comes next."""
    victim = service.start("listen", ORDER_DIE_AT="500")
    artemis_management.wait_for(
        service.queue, lambda queue: queue is not None and queue.consumer_count == 1, timeout=30
    )
    service.send(1_000)
    victim.communicate(timeout=60)
    assert victim.returncode == -signal.SIGKILL
    heir = service.start("listen")
    artemis_management.wait_for(service.queue, lambda queue: queue is not None and queue.message_count == 0, timeout=60)
    finish(heir)
    handled = service.handled()
    assert set(handled) == set(range(1_000))
    assert handled[500] == 2
    assert sum(handled.values()) - 1_000 <= 512, "duplicates are bounded by the credit"
