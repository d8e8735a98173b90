"""What this process uses, and how that grows."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Threads, open file descriptors, and resident memory in MiB."""

    threads: int
    descriptors: int
    rss: float

    @classmethod
    def now(cls) -> Usage:
        """As the kernel sees it."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(threading.active_count(), len(os.listdir("/proc/self/fd")), pages * _PAGE / 2**20)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.threads - other.threads, self.descriptors - other.descriptors, self.rss - other.rss)

    def __str__(self) -> str:
        return f"{self.threads} threads, {self.descriptors} descriptors, {self.rss:.1f} MiB"
