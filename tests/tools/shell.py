"""Running commands, and saying which."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def say(text: str) -> None:
    """Print a line at once: the commands write to the same place."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def succeeds(*command: str) -> bool:
    """Tell whether a command is there and ends with 0; its output is dropped."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> int:
    """Run a command with its output shown; return its exit code."""
    merged = {**os.environ, **(env or {})}
    return subprocess.run(list(command), cwd=cwd, env=merged, stdin=subprocess.DEVNULL, check=False).returncode


def must(command: Sequence[str], complaint: str, *, env: Mapping[str, str] | None = None) -> None:
    """Run a command that everything else depends on; end the run with a sentence when it fails."""
    code = run(command, env=env)
    if code:
        sys.exit(f"{complaint} ({command[0]} ended with {code})")
