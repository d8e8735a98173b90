"""Every example of the documentation runs, and prints what the documentation says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import EXAMPLES

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker
    from tests.brokers.management import ArtemisManagement

EXPECTED = EXAMPLES / "expected"
ON_ARTEMIS = "6_orders_on_artemis"


@pytest.mark.parametrize("name", sorted({path.stem for path in EXPECTED.glob("*.txt")} - {ON_ARTEMIS}))
def test_examples_print_what_is_expected(name: str) -> None:
    """The example's output is the expected one, to the letter."""
    result = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout == (EXPECTED / f"{name}.txt").read_text()


def test_every_example_is_run() -> None:
    """No example is without an expected output."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {path.stem for path in EXPECTED.glob("*.txt")}


@pytest.mark.artemis
def test_orders_on_artemis(artemis: ArtemisBroker, artemis_management: ArtemisManagement) -> None:
    """Ten thousand orders go from one process to another, and the broker's queue is empty afterwards."""
    url = f"amqp://{artemis.user}:{artemis.password}@127.0.0.1:{artemis.amqp_port}/?prefix=docs"
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{ON_ARTEMIS}.py")]
    environment = {**os.environ, "ASPYX_EVENT_URL": url}
    listener = subprocess.Popen([*command, "listen"], env=environment, stdout=subprocess.PIPE, text=True)
    with listener:
        try:
            artemis_management.wait_for(
                "docs.Warehouse", lambda queue: queue is not None and queue.consumer_count == 1, timeout=30
            )
            sent = subprocess.run(
                [*command, "send"], env=environment, capture_output=True, text=True, check=True, timeout=60
            )
            artemis_management.wait_for(
                "docs.Warehouse", lambda queue: queue is not None and queue.messages_acked == 10_000, timeout=60
            )
            listener.send_signal(signal.SIGTERM)
            output, _ = listener.communicate(timeout=40)
        finally:
            listener.kill()
    queue = artemis_management.queue("docs.Warehouse")
    counts = output.splitlines()[-1]  # above it is the wiring table, with this process's name
    assert f"{sent.stdout}{counts}\n" == (EXPECTED / f"{ON_ARTEMIS}.txt").read_text()
    assert queue is not None
    assert (queue.message_count, queue.delivering_count) == (0, 0)
