"""The reference is complete."""

from __future__ import annotations

import re

import aspyx_event
from tests.docs.pages import DOCS


def test_every_public_name_is_in_the_reference() -> None:
    """Each name of ``aspyx_event.__all__`` is documented: errors by their module, all others by name."""
    text = (DOCS / "reference.rst").read_text()
    named = set(re.findall(r"^\.\. auto\w+:: aspyx_event\.(?:[\w.]*\.)?(\w+)$", text, re.MULTILINE))
    assert ".. automodule:: aspyx_event.exceptions" in text
    missing = {
        name
        for name in aspyx_event.__all__
        if name not in named and getattr(aspyx_event, name).__module__ != "aspyx_event.exceptions"
    }
    assert missing <= {"AbstractEnvelopePipeline"}  # an alias of EnvelopePipeline
