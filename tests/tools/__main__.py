"""Run every check, or pytest alone when there are arguments."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .checks import all_checks, pytest_alone
from .environment import main_environment
from .machine import prepare_machine
from .report import Report


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 when nothing failed."""
    prepare_machine()
    environment = main_environment()
    if arguments:
        return pytest_alone(environment, arguments)
    with tempfile.TemporaryDirectory(prefix="aspyx-checks-") as scratch:
        report = Report()
        for check in all_checks(environment, Path(scratch)):
            report.run(check)
        return report.close(Path(scratch))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
