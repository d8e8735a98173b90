"""The python blocks of the README and of the pages run as they are."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, README, ROOT, code_blocks

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker

_CALL_TESTS = """
for _name, _test in list(globals().items()):
    if _name.startswith("test_") and not _test.__code__.co_argcount:  # one with a fixture is for the reader's pytest
        _test()
"""


def _wait_for_run(pid: int) -> None:
    """Wait until run() catches SIGTERM: a Ctrl-C before that is an ordinary KeyboardInterrupt."""
    pause = threading.Event()
    for _ in range(200):
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        pause.wait(0.05)
    raise AssertionError("the program did not get to run()")


@pytest.mark.parametrize("broker", ["local", pytest.param("artemis", marks=pytest.mark.artemis)])
def test_the_readme_program(broker: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The README's program, copied as it is, handles its event on local:// and, given a URL, on Artemis."""
    [program] = code_blocks(README)
    (tmp_path / "orders.py").write_text(program)
    arguments = []
    if broker == "artemis":
        running: ArtemisBroker = request.getfixturevalue("artemis").start()
        arguments = [f"amqp://{running.user}:{running.password}@127.0.0.1:{running.amqp_port}/"]
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "orders.py", *arguments], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "billing order 1 of Ada\n"
            _wait_for_run(process.pid)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if code_blocks(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_code_blocks_run(page: Path, tmp_path: Path) -> None:
    """The python blocks of a page, in their order in one namespace, run without an error or warning; its tests too."""
    script = tmp_path / "page.py"
    script.write_text("\n".join([*code_blocks(page), _CALL_TESTS]))
    result = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
