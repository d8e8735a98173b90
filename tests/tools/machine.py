"""Programs and headers that pip cannot install: what builds python-qpid-proton with TLS, and what runs Artemis."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .shell import must, say, succeeds


@dataclass(frozen=True)
class Need:
    """Something the checks need, and the Debian packages that bring it."""

    purpose: str
    packages: tuple[str, ...]
    present: Callable[[], bool]
    required: bool


def prepare_machine() -> None:
    """Install what is missing where that is allowed (apt, as root); else say what to install."""
    missing = [need for need in _NEEDS if not need.present()]
    packages = sorted({package for need in missing for package in need.packages})
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"==> apt-get install {' '.join(packages)}")
        must(["apt-get", "-qq", "update"], "the package lists could not be read")
        must(
            ["apt-get", "-qq", "-y", "--no-install-recommends", "install", *packages],
            "what the tests need could not be installed",
            env={"DEBIAN_FRONTEND": "noninteractive"},
        )
        missing = [need for need in missing if not need.present()]
    for need in missing:
        sentence = f"missing {need.purpose}: install {', '.join(need.packages)} (Debian's names)"
        if need.required:
            sys.exit(sentence)
        say(f"{sentence}; tests that need it are skipped")


def _has_headers() -> bool:
    return (Path(sysconfig.get_path("include")) / "Python.h").exists()


def _has_java_17() -> bool:
    try:
        text = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return False
    version = re.search(r'version "(\d+)', text)
    return version is not None and int(version.group(1)) >= 17


_NEEDS = (
    Need("a C compiler", ("gcc", "libc6-dev"), lambda: bool(shutil.which("gcc") or shutil.which("cc")), True),
    Need("the headers of this Python", ("python3-dev",), _has_headers, True),
    Need("venv", ("python3-venv",), lambda: succeeds(sys.executable, "-c", "import ensurepip, venv"), True),
    Need("pkg-config", ("pkg-config",), lambda: succeeds("pkg-config", "--version"), True),
    # Without it python-qpid-proton builds all the same, with TLS silently left out.
    Need("OpenSSL's headers", ("libssl-dev",), lambda: succeeds("pkg-config", "--exists", "openssl"), True),
    Need("Java 17 or newer", ("default-jre-headless",), _has_java_17, False),
    Need("Maven", ("maven",), lambda: shutil.which("mvn") is not None, False),
)
