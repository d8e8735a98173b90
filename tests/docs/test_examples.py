"""Every example of the documentation runs, and prints what the documentation says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker
    from tests.brokers.management import ArtemisManagement

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
EXPECTED = EXAMPLES / "expected"


def code_blocks(page: Path) -> list[str]:
    """The python blocks of a page, without their indentation."""
    found = re.findall(r"^\.\. code-block:: python\n(?: +:.*\n)*\n((?:    .*\n|\n)+)", page.read_text() + "\n", re.M)
    return ["\n".join(line[4:] for line in block.splitlines()) + "\n" for block in found]


@pytest.mark.parametrize("name", sorted(path.stem for path in EXPECTED.glob("*.txt")))
def test_examples_print_what_is_expected(name: str) -> None:
    """The example's output is the expected one, to the letter."""
    result = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout == (EXPECTED / f"{name}.txt").read_text()


def test_every_example_is_run() -> None:
    """No example is without a test."""
    known = {path.stem for path in EXPECTED.glob("*.txt")} | {"6_orders_on_artemis"}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == known


@pytest.mark.artemis
def test_orders_on_artemis(artemis: ArtemisBroker, artemis_management: ArtemisManagement) -> None:
    """Ten thousand orders go from one process to another, and the broker's queue is empty afterwards."""
    url = f"amqp://{artemis.user}:{artemis.password}@127.0.0.1:{artemis.amqp_port}/?prefix=docs"
    command = [sys.executable, "-W", "error", str(EXAMPLES / "6_orders_on_artemis.py")]
    environment = {**os.environ, "ASPYX_EVENT_URL": url}
    listener = subprocess.Popen([*command, "listen"], env=environment, stdout=subprocess.PIPE, text=True)
    with listener:
        artemis_management.wait_for(
            "docs.Billing", lambda queue: queue is not None and queue.consumer_count == 1, timeout=30
        )
        sent = subprocess.run([*command, "send"], env=environment, capture_output=True, text=True, check=True)
        artemis_management.wait_for("docs.Billing", lambda queue: queue.messages_acked == 10_000, timeout=60)
        listener.send_signal(signal.SIGTERM)
        output, _ = listener.communicate(timeout=40)
    queue = artemis_management.queue("docs.Billing")
    assert sent.stdout == "10000 orders confirmed\n"
    assert output.splitlines()[-1] == "handled: 10000"
    assert queue is not None
    assert (queue.message_count, queue.delivering_count) == (0, 0)


@pytest.mark.parametrize("broker", ["local", pytest.param("artemis", marks=pytest.mark.artemis)])
def test_the_readme_program(broker: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The README's program, copied as it is, handles its event on local:// and, given a URL, on Artemis."""
    [program] = code_blocks(ROOT / "README.rst")
    (tmp_path / "orders.py").write_text(program)
    arguments = []
    if broker == "artemis":
        running: ArtemisBroker = request.getfixturevalue("artemis").start()
        arguments = [f"amqp://{running.user}:{running.password}@127.0.0.1:{running.amqp_port}/"]
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "orders.py", *arguments], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "billing order 1 of Ada\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


PAGES = sorted(page for page in (ROOT / "docs").rglob("*.rst") if code_blocks(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks_run(page: Path, tmp_path: Path) -> None:
    """The python blocks of a page, in their order in one namespace, run without an error or warning."""
    script = tmp_path / "page.py"
    script.write_text("\n".join(code_blocks(page)))
    result = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
