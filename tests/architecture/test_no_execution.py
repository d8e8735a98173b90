"""Nothing in the package can run or import what a message names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "aspyx_event"
MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "yaml",
    "code",
    "codeop",
    "runpy",
    "imp",
}
CALLS = {"eval", "exec", "compile", "__import__", "execfile"}
NAMES = {"import_module", "__import__", "ImportString", "SourceFileLoader", "spec_from_file_location"}
IMPORTING = {
    "registry.py": "scan() imports the package that the application names",
    "integrations/settings.py": "the settings of an application name its own classes and functions",
    "cli/application.py": "the person at the command line names the application",
    "__init__.py": "a provider is loaded by its public name, when the application first asks for it",
}
"""Who may import by name, and why it is no name out of a message."""


def findings(tree: ast.AST) -> Iterator[str]:
    """Each use of what executes or imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").partition(".")[0]}
        else:
            names = set()
        yield from sorted(names & MODULES)
        if isinstance(node, ast.ImportFrom):
            yield from sorted({alias.name for alias in node.names} & NAMES)
        if isinstance(node, ast.Name) and node.id in CALLS:
            yield node.id
        if isinstance(node, ast.Attribute) and node.attr in (
            "import_module",
            "__import__",
            "literal_eval",
            "ImportString",
        ):
            yield node.attr
        if isinstance(node, ast.Name) and node.id == "ImportString":
            yield node.id


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_module_executes_or_imports_by_name(file: Path) -> None:
    """No pickle, marshal, yaml, eval, exec or import by name, but where the application itself names a module."""
    name = str(file.relative_to(PACKAGE))
    found = set(findings(ast.parse(file.read_text())))
    if name in IMPORTING:
        found -= {"import_module"}
    assert not found


@pytest.mark.parametrize("name", sorted(IMPORTING))
def test_the_exceptions_are_in_use(name: str) -> None:
    """A file that may import by name does."""
    assert "import_module" in set(findings(ast.parse((PACKAGE / name).read_text())))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from yaml import load",
        "eval('1')",
        "from importlib import import_module",
        "x.import_module(y)",
        "import marshal as m",
    ],
)
def test_it_finds_them(source: str) -> None:
    """The search finds what it looks for."""
    assert list(findings(ast.parse(source)))
