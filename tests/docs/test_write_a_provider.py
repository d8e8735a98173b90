"""The provider that the how-to builds: installed by pip, found by its URL, and held against the conformance suite."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, EXAMPLES, ROOT

PROJECT = EXAMPLES / "onefile"
PAGE = DOCS / "how-to" / "write-a-provider.rst"
_INCLUDED = re.compile(r"^\.\. literalinclude:: \S+/(\w+\.py)\n((?:   :.*\n)+)", re.MULTILINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the project."""
    pytest.importorskip("setuptools")
    place = tmp_path_factory.mktemp("onefile")
    source = shutil.copytree(PROJECT, place / "source", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg*"))
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--no-index"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(place / "site"), str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert result.returncode == 0, result.stderr
    return place


def _python(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place / "site"), str(ROOT)])}
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip


def test_its_url(installed: Path) -> None:
    """Once pip has installed it, its URL makes a manager, without an import or a registration."""
    program = """
from aspyx_event import EventManager, provider_from_url
with EventManager("onefile:///events.db") as manager:
    print(manager.provider)
try:
    provider_from_url("twofile://")
except Exception as error:
    print(error)
"""
    result = _python(installed, "-c", program)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("<OnefileProvider events.db connected>\nno provider for the URL scheme 'twofile'")
    assert "onefile://" in result.stdout


@pytest.mark.slow
def test_it_holds_the_conformance_suite(installed: Path) -> None:
    """Its own tests pass, in its own project: the whole suite, but for what needs a connection to cut."""
    shutil.copy(PROJECT / "test_onefile.py", installed)
    shutil.copy(PROJECT / "pyproject.toml", installed)
    result = _python(installed, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_onefile.py")
    assert result.returncode == 0, result.stdout + result.stderr
    numbers = {word: int(number) for number, word in re.findall(r"(\d+) (passed|skipped)", result.stdout)}
    of_the_suite = numbers["passed"] - 1  # there is one more, of the URL
    assert f"{of_the_suite} of its tests pass, and {numbers['skipped']} are skipped, because a file" in PAGE.read_text()


def test_the_page_shows_all_of_it() -> None:
    """Every line of the provider's modules is on the page, but for the imports and constants at the top of one."""
    shown: dict[str, str] = {}
    for name, options in re.findall(
        r"^\.\. literalinclude:: \S+/(\w+\.py)\n((?:   :.*\n)+)", PAGE.read_text(), re.MULTILINE
    ):
        text = next(PROJECT.rglob(name)).read_text()
        for option, value in re.findall(r"^   :(start-after|end-before): (.+)$", options, re.MULTILINE):
            assert text.count(f"{value}\n") == 1, f"{name}: {value}"
            text = text.partition(f"{value}\n")[2 if option == "start-after" else 0]
        shown[name] = shown.get(name, "") + text
    for name in ("file.py", "provider.py"):
        source = (PROJECT / "onefile" / name).read_text()
        code = source[source.index("# the ") :]
        missing = set(_lines(code)) - set(_lines(shown[name]))
        assert not missing


def _lines(code: str) -> list[str]:
    return [line for line in map(str.strip, code.splitlines()) if line and not line.startswith("# ")]
