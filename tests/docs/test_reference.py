"""The reference is complete."""

from __future__ import annotations

import inspect
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


def test_every_method_of_the_manager_is_in_the_reference() -> None:
    """Each public method of EventManager is among the members that the reference names."""
    text = (DOCS / "reference.rst").read_text()
    [members] = re.findall(r"^\.\. autoclass:: aspyx_event\.EventManager\n   :members: (.*)$", text, re.MULTILINE)
    methods = {name for name, value in vars(aspyx_event.EventManager).items() if inspect.isfunction(value)}
    assert set(members.split(", ")) == {name for name in methods if not name.startswith("_")}
