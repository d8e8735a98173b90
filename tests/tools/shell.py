"""Running commands, and saying which."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]

_output: ContextVar[IO[str] | None] = ContextVar("output", default=None)
"""Where the commands of this thread write; None: to the terminal, like ours."""


@contextmanager
def output_to(file: IO[str]) -> Iterator[None]:
    """Have what this thread says, and what its commands write, in a file: several of them run at once."""
    token = _output.set(file)
    try:
        yield
    finally:
        _output.reset(token)


def say(text: str) -> None:
    """Print a line at once: the commands write to the same place."""
    output = _output.get() or sys.stdout
    output.write(f"{text}\n")
    output.flush()


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
    output = _output.get()
    errors = None if output is None else subprocess.STDOUT
    done = subprocess.run(
        list(command), cwd=cwd, env=merged, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, check=False
    )
    return done.returncode


def must(command: Sequence[str], complaint: str, *, env: Mapping[str, str] | None = None) -> None:
    """Run a command that everything else depends on; end the run with a sentence when it fails."""
    code = run(command, env=env)
    if code:
        sys.exit(f"{complaint} ({command[0]} ended with {code})")
