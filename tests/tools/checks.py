"""The list of checks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from . import conformance
from .environment import (
    Environment,
    flask_environment,
    newest_django_environment,
    oldest_django_environment,
    stomp_environment,
    unit_environment,
)
from .interpreters import find_python
from .packages import check_packages
from .report import Check
from .shell import ROOT, run

AT_ONCE = 4
"""How many test processes run at once, each with its own brokers: they wait most of the time. Their deadlines are
generous, so that this does not disturb them on two cores."""
_NO_TESTS = 5
_CONFORMANCE, _INTEGRATIONS = ROOT / "tests" / "conformance", ROOT / "tests" / "integrations"
_DOCS, _FAULTS = ROOT / "tests" / "docs", ROOT / "tests" / "faults"
_SHORT = ("-m", "short")
_OTHER_PYTHONS = ("3.9", "3.13")


def pytest_alone(environment: Environment, arguments: list[str]) -> int:
    """Run pytest with these arguments and nothing else."""
    return run([environment.python, "-m", "pytest", *arguments], env=environment.variables)


def static_checks(environment: Environment) -> Iterator[Check]:
    """Yield what runs no test: the quick ones. The last one fetches the brokers."""

    def tool(name: str, *arguments: str) -> Check:
        command = [environment.tool(name), *arguments]
        return Check(f"{name} {arguments[0]}" if name == "ruff" else name, lambda: run(command, env=variables))

    library = _library()
    variables = {**environment.variables, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    yield tool("ruff", "check", ".")
    yield tool("ruff", "format", "--check", ".")
    yield _unless(library, tool("mypy"))
    yield _unless(library, tool("lint-imports", "--config", "setup.cfg"))
    yield _unless(library, tool("pyright", "--pythonversion", "3.9", "--pythonpath", environment.python, "aspyx_event"))
    install = [environment.python, "-m", "tests.brokers"]
    yield Check("brokers", lambda: run(install, env=variables))


def tests(environment: Environment, scratch: Path) -> Iterator[Check]:
    """Yield the parts of the tests, which may run at once: what takes longest comes first."""
    others = ["tests", *(f"--ignore={folder}" for folder in (_CONFORMANCE, _DOCS, _INTEGRATIONS, _FAULTS))]
    yield _part("tests/docs", [str(_DOCS)], environment, scratch)
    folders = sorted(path.parent for path in _INTEGRATIONS.glob("*/__init__.py"))
    yield _part(
        "integrations", [str(_INTEGRATIONS), *(f"--ignore={folder}" for folder in folders)], environment, scratch
    )
    for folder in folders:
        yield _part(f"integrations/{folder.name}", [str(folder)], environment, scratch)
    yield from short_fault_tests(environment, scratch)
    yield from conformance_tests(environment, scratch)
    yield _part("tests", others, environment, scratch)
    yield from _other_packages(scratch)
    for version in _OTHER_PYTHONS:
        yield _unit_tests(version, scratch)


def conformance_tests(environment: Environment, scratch: Path) -> Iterator[Check]:
    """Yield the conformance suite, for each pair of protocol and broker."""
    for file in sorted(_CONFORMANCE.glob("test_*.py")):
        pair = file.stem[len("test_") :].replace("_", "/")
        yield _part(f"conformance {pair}", [str(file)], environment, scratch)


def short_fault_tests(environment: Environment, scratch: Path) -> Iterator[Check]:
    """Yield the fault tests in their short form, each on one pair of protocol and broker."""
    alone = [_FAULTS / f"test_{name}.py" for name in ("storm", "outage_log")]
    for file in alone:
        yield _part(f"faults {file.stem[len('test_') :]}", [str(file), *_SHORT], environment, scratch)
    yield _part("faults", [str(_FAULTS), *_SHORT, *(f"--ignore={file}" for file in alone)], environment, scratch)


def fault_tests(environment: Environment, scratch: Path) -> Iterator[Check]:
    """Yield the fault tests on all pairs: together they take longer than everything else."""
    for file in sorted(_FAULTS.glob("test_*.py")):
        yield _part(f"faults {file.stem[len('test_') :]}", [str(file)], environment, scratch)


def closing_checks(environment: Environment, scratch: Path) -> Iterator[Check]:
    """Yield what comes after the tests."""
    yield Check("conformance table", lambda: conformance.check(conformance.read(scratch)))
    docs = [environment.tool("sphinx-build"), "-W", "-n", "-q", "--keep-going", "docs", str(scratch / "docs")]
    missing = None if (ROOT / "docs" / "conf.py").exists() else "there is no docs/conf.py"
    yield Check("docs", lambda: run(docs, env=environment.variables), skip=missing)
    yield _unless(_library(), Check("build", lambda: check_packages(environment, scratch / "dist")))
    yield _benchmarks(environment, scratch / "benchmarks.txt")  # last: nothing else runs meanwhile


def _benchmarks(environment: Environment, found: Path) -> Check:
    """Print what has become dearer. It fails when it cannot measure, never because of a figure."""
    command = [environment.python, "-m", "tests.benchmarks.guard", str(found)]
    return Check(
        "benchmarks",
        lambda: run(command, env=environment.variables),
        skip=_library(),
        note=lambda: found.read_text(encoding="utf-8").rstrip() if found.exists() else "benchmarks: not measured",
    )


def _library() -> str | None:
    return None if (ROOT / "aspyx_event" / "__init__.py").exists() else "there is no aspyx_event/__init__.py"


def _unless(reason: str | None, check: Check) -> Check:
    return Check(check.name, check.action, skip=reason)


def _part(name: str, paths: list[str], environment: Environment, scratch: Path) -> Check:
    results = scratch / f"{name.replace('/', '-').replace(' ', '-')}.xml"
    return Check(name, lambda: _pytest(environment, paths, results))


def _other_packages(scratch: Path) -> Iterator[Check]:
    """The oldest frameworks, on the oldest Python; stomp.py 8, after which there is none for it; the newest Django."""
    oldest, newest = _OTHER_PYTHONS
    stomp, flask = ["tests/integrations/stomp", "-m", "activemq"], ["tests/integrations/flask"]
    django = ["tests/integrations/django", "-m", "not artemis", "--ignore=tests/integrations/django/test_example.py"]
    yield _on("stomp.py 8", oldest, stomp_environment, stomp, scratch)
    yield _on("oldest Flask", oldest, flask_environment, flask, scratch)
    yield _on("oldest Django", oldest, oldest_django_environment, django, scratch)
    yield _on("newest Django", newest, newest_django_environment, django, scratch)


def _on(what: str, version: str, make: Callable[[str], Environment], paths: list[str], scratch: Path) -> Check:
    name, python = f"{what} on Python {version}", find_python(version)
    if python is None:
        return Check(name, lambda: 0, skip="this Python is not installed")
    results = scratch / f"{what.replace(' ', '-').lower()}.xml"
    return Check(name, lambda: _pytest(make(python), paths, results))


def _unit_tests(version: str, scratch: Path) -> Check:
    name = f"unit tests on Python {version}"
    python = find_python(version)
    if python is None:
        return Check(name, lambda: 0, skip="this Python is not installed")
    return Check(name, lambda: _pytest(unit_environment(python), ["tests/unit"], scratch / f"unit-{version}.xml"))


def _pytest(environment: Environment, paths: list[str], results: Path) -> int:
    # A suite that is still empty is no failure; a suite that lost its tests shows in the numbers.
    cache = results.with_suffix(".cache")
    options = [f"--junitxml={results}", "-o", "junit_family=xunit1", "-o", f"cache_dir={cache}"]
    code = run([environment.python, "-m", "pytest", *options, *paths], env={**environment.variables, **_COLOR})
    return 0 if code == _NO_TESTS else code


_COLOR = {} if os.environ.get("CI") is None else {"NO_COLOR": "1", "PY_COLORS": "0"}
