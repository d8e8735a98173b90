"""Sphinx configuration."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

sys.path.insert(0, os.path.abspath(".."))
sys.path.insert(0, os.path.abspath("_ext"))

from aspyx_event import __version__ as release  # noqa: F401

project = "aspyx_event"
author = "the aspyx_event developers"
copyright = "the aspyx_event developers"
extensions = ["sphinx.ext.autodoc", "conformance_table"]
html_theme = "furo"
exclude_patterns = ["examples", "_ext"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
nitpick_ignore_regex = [
    # standard library, pydantic and private names: there is no inventory to link them to without a network
    ("py:.*", r"(?!aspyx_event\.).*"),
    ("py:class", r"aspyx_event\..*\.(T_contra|_.*|[A-Z])"),
]

_PARAMETER = re.compile(r"([a-z_]+(?:, [a-z_]+)*): (.*)")


def list_parameters(_app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Make a list of docstrings' lines of the form "name: what it means", which otherwise run into one paragraph."""
    made: list[str] = []
    within = False
    for line in lines:
        found = _PARAMETER.fullmatch(line)
        if found:
            if not within:
                made.append("")
            made.append(f"* **{found[1]}**: {found[2]}")
        else:
            made.append(f"  {line}" if within and line else line)
        within = bool(found) or (within and bool(line))
    lines[:] = made


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", list_parameters)
