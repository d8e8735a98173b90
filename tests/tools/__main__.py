"""Run every check, the conformance suite alone (``--conformance``), the fault tests alone (``--faults``), or pytest
with the given arguments."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from . import conformance
from .checks import AT_ONCE, closing_checks, conformance_tests, fault_tests, pytest_alone, static_checks, tests
from .environment import main_environment
from .machine import prepare_machine
from .report import Report


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 when nothing failed."""
    prepare_machine()
    environment = main_environment()
    if arguments not in ([], ["--conformance"], ["--faults"]):
        return pytest_alone(environment, arguments)
    with tempfile.TemporaryDirectory(prefix="aspyx-checks-") as folder:
        scratch, report = Path(folder), Report()
        if arguments == ["--faults"]:
            report.run_together(list(fault_tests(environment, scratch)), AT_ONCE)
            return report.close(scratch)
        if arguments:
            report.run_together(list(conformance_tests(environment, scratch)), AT_ONCE)
            written = conformance.write(conformance.read(scratch))
            return report.close(scratch) or written
        for check in static_checks(environment):
            report.run(check)
        report.run_together(list(tests(environment, scratch)), AT_ONCE)
        for check in closing_checks(environment, scratch):
            report.run(check)
        return report.close(scratch)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
