"""Ports that brokers are given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .host import free_ports

_ANOTHER = "from tests.brokers.host import free_ports; print(*{port for _ in range(300) for port in free_ports(1)})"


def test_no_other_process_is_given_our_ports() -> None:
    """A broker that is stopped for a minute finds its ports free again, whatever else runs meanwhile."""
    ours = set(free_ports(5))
    root = Path(__file__).parents[2]
    for _ in range(3):
        shown = subprocess.run([sys.executable, "-c", _ANOTHER], cwd=root, capture_output=True, check=True, timeout=60)
        theirs = {int(port) for port in shown.stdout.split()}
        assert len(theirs) > 50
        assert max(theirs) - min(theirs) < 200  # one block
        assert not any(min(theirs) <= port <= max(theirs) for port in ours)
