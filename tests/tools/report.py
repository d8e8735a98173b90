"""Runs the checks, one after the other or some at once, times them, and adds up what happened."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from . import conformance
from .shell import output_to, say


@dataclass(frozen=True)
class Check:
    """One thing to check. `skip` says why it does not apply here; `action` returns an exit code."""

    name: str
    action: Callable[[], int]
    skip: str | None = None
    note: Callable[[], str] | None = None
    """What it adds to the summary, once it has run."""


class Report:
    """Every check runs, whatever became of those before it."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._notes: list[Callable[[], str]] = []
        self._failed = False

    def run(self, check: Check) -> None:
        if check.skip:
            say(f"\n==> {check.name}: skipped, {check.skip}")
            self._lines.append(f"  skipped          {check.name} ({check.skip})")
            return
        say(f"\n==> {check.name}")
        self._done(check, *_timed(check))

    def run_together(self, checks: Sequence[Check], at_once: int) -> None:
        """Run checks that do not disturb each other; the output of each is shown when it is done."""
        applying = [check for check in checks if not check.skip]
        for check in checks:
            if check.skip:
                self.run(check)
        say(f"\n==> {at_once} at a time: " + ", ".join(check.name for check in applying))
        with ThreadPoolExecutor(at_once) as pool:
            running = {pool.submit(_captured, check): check for check in applying}
            try:
                for future in as_completed(running):
                    code, seconds, output = future.result()
                    say(f"\n==> {running[future].name}\n{output.rstrip()}")
                    self._done(running[future], code, seconds)
            except BaseException:  # Ctrl-C ends what runs; nothing else is started
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def close(self, results: Path) -> int:
        """Print the summary and the number of tests; return the exit code of it all."""
        passed, failed, skipped = _count(results)
        say("\n==> summary\n" + "\n".join(self._lines))
        for note in self._notes:
            say(f"\n{note()}")
        pairs = conformance.read(results)
        if pairs:
            say("\n" + conformance.table(pairs) + "\n")
        say(f"{passed} passed, {failed} failed, {skipped} skipped")
        return 1 if self._failed or failed else 0

    def _done(self, check: Check, code: int, seconds: float) -> None:
        self._failed = self._failed or code != 0
        if check.note:
            self._notes.append(check.note)
        verdict = f"FAILED ({code})" if code else "ok"
        self._lines.append(f"  {verdict:10}{seconds:5.0f} s  {check.name}")


def _timed(check: Check) -> tuple[int, float]:
    began = time.monotonic()
    code = check.action()
    return code, time.monotonic() - began


def _captured(check: Check) -> tuple[int, float, str]:
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        with output_to(output):
            code, seconds = _timed(check)
        output.seek(0)
        return code, seconds, output.read()


def _count(results: Path) -> tuple[int, int, int]:
    tests = failed = skipped = 0
    for file in results.glob("*.xml"):
        for suite in ElementTree.parse(file).getroot().iter("testsuite"):
            tests += int(suite.get("tests", 0))
            failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0))
    return tests - failed - skipped, failed, skipped
