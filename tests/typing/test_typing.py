"""The public API under mypy --strict and pyright."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("cases")
ROOT = CASES.parents[2]


def expected(case: str) -> set[int]:
    """The lines marked as errors."""
    lines = (CASES / case).read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# error")}


def _needs(there: bool, tool: str) -> None:
    """Skip where a type checker is missing; fail where everything has to be there."""
    if not there:
        if os.environ.get("ASPYX_REQUIRE_BROKERS") == "1":
            pytest.fail(f"{tool} is not installed", pytrace=False)
        pytest.skip(f"{tool} is not installed")


def run_mypy(case: str) -> set[int]:
    """The lines mypy complains of."""
    _needs(importlib.util.find_spec("mypy") is not None, "mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(CASES / case)]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert output.returncode in (0, 1), output.stdout + output.stderr
    return {int(number) for number in re.findall(rf"{case}:(\d+): error", output.stdout)}


def run_pyright(case: str) -> set[int]:
    """The lines pyright complains of."""
    pyright = shutil.which("pyright", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    _needs(pyright is not None, "pyright")
    command = [str(pyright), "--outputjson", "--pythonpath", sys.executable, str(CASES / case)]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    found = json.loads(output.stdout)["generalDiagnostics"]
    return {item["range"]["start"]["line"] + 1 for item in found if item["severity"] == "error"}


@pytest.mark.parametrize("run", [run_mypy, run_pyright])
def test_what_users_write_is_accepted(run: object) -> None:
    """Good code has no complaint."""
    assert callable(run)
    assert run("good.py") == set()


@pytest.mark.parametrize("run", [run_mypy, run_pyright])
def test_mistakes_are_type_errors(run: object) -> None:
    """A wrong event type in ``on``, and wrong arguments, are errors at their line; nothing else is."""
    assert callable(run)
    assert run("bad.py") == expected("bad.py")
