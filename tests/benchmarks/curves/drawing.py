"""Draws what was measured, with matplotlib, which is in the environment of the peers: here it is only started."""

from __future__ import annotations

import subprocess

from tests.benchmarks.curves.record import FOLDER
from tests.tools.environment import peers_environment
from tests.tools.shell import ROOT

IMAGES = ROOT / "docs" / "images"


def draw() -> int:
    """Write an SVG for each curve that is kept; return an exit code."""
    command = [peers_environment().python, "-m", "tests.benchmarks.curves.plots", str(FOLDER), str(IMAGES)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode
