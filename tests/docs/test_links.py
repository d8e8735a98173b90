"""What a page, the README or a diagram points at is there. Links between pages are checked by Sphinx (``-W -n``)."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, README, ROOT

TEXTS = [README, ROOT / "CONTRIBUTING.rst", ROOT / "CHANGELOG.rst", *PAGES]
DIAGRAMS = sorted((DOCS / "diagrams").glob("*.svg"))
_PATH = re.compile(r"``((?:docs|tests|aspyx_event)/[\w./-]*)")
_SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_exist(text: Path) -> None:
    """Each path into this repository that a text names is there; ``.rst`` may be left out."""
    found = [path.rstrip(".") for path in _PATH.findall(text.read_text())]
    assert [path for path in found if not ((ROOT / path).exists() or (ROOT / f"{path}.rst").exists())] == []


def test_diagrams_are_shown() -> None:
    """Each diagram stands on some page."""
    shown = {name for page in PAGES for name in re.findall(r"diagrams/([\w-]+\.svg)$", page.read_text(), re.MULTILINE)}
    assert shown == {diagram.name for diagram in DIAGRAMS}


@pytest.mark.parametrize("diagram", DIAGRAMS, ids=lambda path: path.name)
def test_diagrams_can_be_read_aloud_and_in_the_dark(diagram: Path) -> None:
    """A diagram has a title and a description, and no colour but those of the theme, which are light and dark."""
    root = ElementTree.parse(diagram).getroot()
    for name in ("title", "desc"):
        assert (root.findtext(f"{_SVG}{name}") or "").strip()
    fixed = [element.tag for element in root.iter() for name in ("fill", "stroke", "style") if element.get(name)]
    assert fixed == []
    style = re.sub(r"@media.*", "", root.findtext(f"{_SVG}style") or "", flags=re.DOTALL)
    colours = re.findall(r"(?:fill|stroke): ([^;]+);", style)
    assert [
        colour for colour in colours if not colour.startswith("var(--color-") and colour not in ("none", "#d9534f")
    ] == []


def test_the_ids_of_diagrams_differ() -> None:
    """Diagrams are put into pages as they are, so no two have one id."""
    ids = [
        element.get("id") for diagram in DIAGRAMS for element in ElementTree.parse(diagram).iter() if element.get("id")
    ]
    assert len(ids) == len(set(ids)) > 0
