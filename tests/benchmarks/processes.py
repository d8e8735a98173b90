"""What the kernel says about processes: their memory, the processor time they took, and who started whom."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _USER, _SYSTEM = 1, 11, 12
"""Places in ``/proc/<pid>/stat``, after the name."""


def resident_mb(pid: Optional[int] = None) -> float:
    """Resident memory of a process, or of this one, in MB."""
    for line in Path(f"/proc/{pid or 'self'}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"process {pid} has no memory any more")


def tree(root: int) -> list[int]:
    """A process and all that it started, and these, and so on."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children[int(fields[_PARENT])].append(int(entry.name))
    found = [root]
    for pid in found:  # grows meanwhile
        found += children[pid]
    return found


def processor_seconds(pids: Iterable[int]) -> float:
    """What they took together, to 10 ms each; those that have ended count nothing."""
    stats = (_stat(pid) for pid in pids)
    return sum(int(fields[_USER]) + int(fields[_SYSTEM]) for fields in stats if fields) / _TICKS


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
