"""Runs the checks one after the other, times them, and adds up what happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from .shell import say


@dataclass(frozen=True)
class Check:
    """One thing to check. `skip` says why it does not apply here; `action` returns an exit code."""

    name: str
    action: Callable[[], int]
    skip: str | None = None


class Report:
    """Every check runs, whatever became of those before it."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._failed = False

    def run(self, check: Check) -> None:
        if check.skip:
            say(f"\n==> {check.name}: skipped, {check.skip}")
            self._lines.append(f"  skipped          {check.name} ({check.skip})")
            return
        say(f"\n==> {check.name}")
        began = time.monotonic()
        code = check.action()
        self._failed = self._failed or code != 0
        verdict = f"FAILED ({code})" if code else "ok"
        self._lines.append(f"  {verdict:10}{time.monotonic() - began:5.0f} s  {check.name}")

    def close(self, results: Path) -> int:
        """Print the summary and the number of tests; return the exit code of it all."""
        passed, failed, skipped = _count(results)
        say("\n==> summary\n" + "\n".join(self._lines))
        say(f"{passed} passed, {failed} failed, {skipped} skipped")
        return 1 if self._failed or failed else 0


def _count(results: Path) -> tuple[int, int, int]:
    tests = failed = skipped = 0
    for file in results.glob("*.xml"):
        for suite in ElementTree.parse(file).getroot().iter("testsuite"):
            tests += int(suite.get("tests", 0))
            failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0))
    return tests - failed - skipped, failed, skipped
