"""Builds what would be published and looks into it."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from .environment import Environment
from .shell import run, say

_IMPORT = "import sys, aspyx_event as a; sys.exit(a.__file__ if not a.__file__.startswith(sys.argv[1]) else 0)"


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
    return 1 if complaints else run([environment.python, "-c", _IMPORT, str(wheel)], env=path, cwd=directory)


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
