"""Who a process is, so that another one can tell whether it still lives."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from time import monotonic

_PROC = Path("/proc")
_DEAD = ("Z", "X")
"""States of a process that ended and was not waited for yet."""


def own_identity() -> str:
    """This process, on Linux: boot, PID namespace, PID and start time. Elsewhere empty: only its beats tell."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink(_PROC / "self/ns/pid")
        return f"{boot}/{space}/{os.getpid()}/{_state_and_start(os.getpid())[1]}"
    except (OSError, ValueError):
        return ""


def is_alive(identity: str, own: str) -> bool | None:
    """Whether a process lives, as far as its identity tells one that is called ``own``. None: it does not tell.

    A PID means nothing in another PID namespace (containers), and somebody else after a reboot or a long time.
    """
    parts, mine = identity.split("/"), own.split("/")
    if len(parts) != 4 or len(mine) != 4:
        return None
    if parts[0] != mine[0]:
        return False  # before the last boot of this machine, which is the only one that has the file
    if parts[1] != mine[1]:
        return None
    try:
        state, start = _state_and_start(int(parts[2]))
    except (FileNotFoundError, ProcessLookupError):
        return False
    except (OSError, ValueError):
        return None
    return start == parts[3] and state not in _DEAD


def _state_and_start(pid: int) -> tuple[str, str]:
    text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    words = text.rpartition(")")[2].split()  # the name before may hold anything
    if len(words) < 20:
        raise ValueError("a strange /proc")
    return words[0], words[19]


class Watch:
    """Finds sessions whose process is dead or hangs: its beats are counted, so no two clocks are ever compared.

    step: seconds between two looks; lease: seconds without a beat after which a session is over.
    """

    def __init__(self, own: str, *, step: float, lease: float) -> None:
        self._own = own
        self._step = step
        self._lease = lease
        self._seen: dict[int, tuple[int, float]] = {}
        self._last = monotonic()

    def dead(self, sessions: Iterable[tuple[int, str, int]]) -> list[int]:
        """The ids of those that are over, among ``(id, identity, beat)`` of others."""
        now = monotonic()
        passed = min(now - self._last, 2 * self._step)  # if this process was halted, the others may have been as well
        self._last = now
        seen, found = {}, []
        for session, identity, beat in sessions:
            before, silence = self._seen.get(session, (beat, -passed))
            seen[session] = (beat, silence + passed if before == beat else 0.0)
            if is_alive(identity, self._own) is False or seen[session][1] >= self._lease:
                found.append(session)
        self._seen = seen
        return found
