"""Builds what would be published and looks into it."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path

from .environment import Environment
from .shell import ROOT, run, say

_STRANGER = ROOT / "docs" / "examples" / "onefile"
_SOME = "arrives_once or processes_compete or events_wait or back_unchanged or exhausted or replay_reaches or the_url"
"""Tests of the conformance suite, by parts of their names; tests/docs runs all of them."""
_ALONE = {"PYTHONPATH": "", "VIRTUAL_ENV": ""}
_IMPORT = (
    "import sys, aspyx_event as a; from aspyx_event import *; "
    "sys.exit(a.__file__ if not a.__file__.startswith(sys.argv[1]) else 0)"
)


def check_packages(environment: Environment, directory: Path) -> int:
    """Build sdist and wheel, check their contents, import the library from the wheel; return an exit code."""
    directory.mkdir()
    code = run([environment.python, "-m", "build", "--outdir", str(directory)], env=environment.variables)
    if code:
        return code
    (wheel,) = directory.glob("*.whl")
    (sdist,) = directory.glob("*.tar.gz")
    complaints = [*_look_into_wheel(wheel), *_look_into_sdist(sdist)]
    for complaint in complaints:
        say(complaint)
    # From a folder of its own, so that neither the checkout nor the editable install can answer for the wheel.
    path = {**environment.variables, "PYTHONPATH": str(wheel)}
    code = run([environment.python, "-c", _IMPORT, str(wheel)], env=path, cwd=directory)
    return 1 if complaints else code or _check_with_a_stranger(environment, wheel, directory / "stranger")


def _check_with_a_stranger(environment: Environment, wheel: Path, directory: Path) -> int:
    """Somebody else's provider, in a project and an environment of its own: the wheel with ``[test]`` is enough."""
    project = shutil.copytree(_STRANGER, directory / "project", ignore=shutil.ignore_patterns("__pycache__"))
    python = str(directory / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    commands = [
        [environment.python, "-m", "venv", str(directory / "venv")],
        [*pip, f"{wheel}[test]", str(project)],
        [python, "-W", "error", "-m", "pytest", "-q", "-W", "error", "-k", _SOME, "test_onefile.py"],
    ]
    return next((code for command in commands if (code := run(command, env=_ALONE, cwd=project))), 0)


def _look_into_wheel(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    complaints = []
    if "aspyx_event/py.typed" not in names:
        complaints.append("the wheel lacks aspyx_event/py.typed")
    if not any(name.endswith("LICENSE") for name in names):
        complaints.append("the wheel lacks the licence")
    strangers = {name.split("/")[0] for name in names} - {"aspyx_event"}
    complaints += [f"the wheel holds {name}" for name in strangers if not name.endswith(".dist-info")]
    return complaints


def _look_into_sdist(sdist: Path) -> list[str]:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = ("setup.cfg", "setup.py", "LICENSE", "README.rst", "aspyx_event/py.typed")
    return [f"the sdist lacks {name}" for name in wanted if name not in names]
