"""Finds the Pythons of this machine; a version manager's stand-in that starts nothing is none."""

from __future__ import annotations

import os
from pathlib import Path

from .shell import succeeds


def find_python(version: str) -> str | None:
    """Return a Python of this version ("3.9") that works and can make environments, or None."""
    roots = [os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")]
    managed = (
        str(path)
        for root in roots
        if root
        for path in sorted(Path(root, "versions").glob(f"{version}.*/bin/python{version}"), reverse=True)
    )
    test = f"import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
    return next((name for name in (f"python{version}", *managed) if succeeds(name, "-c", test)), None)
