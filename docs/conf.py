"""Sphinx configuration."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.abspath(".."))

from aspyx_event import __version__ as release  # noqa: F401

project = "aspyx_event"
author = "the aspyx_event developers"
copyright = "the aspyx_event developers"
extensions = ["sphinx.ext.autodoc"]
html_theme = "furo"
exclude_patterns = ["examples"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
nitpick_ignore_regex = [
    # standard library, pydantic and private names: there is no inventory to link them to without a network
    ("py:.*", r"(?!aspyx_event\.).*"),
    ("py:class", r"aspyx_event\..*\.(T_contra|_.*|[A-Z])"),
]
