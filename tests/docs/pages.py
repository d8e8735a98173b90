"""Where the documentation lies, and what code its pages hold."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
README = ROOT / "README.rst"
PAGES = sorted(path for path in DOCS.rglob("*.rst") if "_build" not in path.parts)

_BLOCK = re.compile(r"^\.\. code-block:: python\n(?: +:.*\n)*\n((?:    .*\n|\n)+)", re.MULTILINE)


def code_blocks(page: Path) -> list[str]:
    """The python blocks of a page, without their indentation."""
    found = _BLOCK.findall(page.read_text() + "\n")
    return ["\n".join(line[4:] for line in block.splitlines()) + "\n" for block in found]
