"""Where the documentation lies, and what code its pages hold."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
README = ROOT / "README.rst"
PAGES = sorted(path for path in DOCS.rglob("*.rst") if "_build" not in path.parts)

_BLOCK = r"^\.\. code-block:: {}\n(?: +:.*\n)*\n((?:    .*\n|\n)+)"


def code_blocks(page: Path) -> list[str]:
    """The python blocks of a page, without their indentation."""
    return _blocks(page, "python")


def shell_blocks(page: Path) -> list[str]:
    """The blocks of commands, as ``code_blocks``."""
    return _blocks(page, "sh")


def _blocks(page: Path, language: str) -> list[str]:
    found = re.findall(_BLOCK.format(language), page.read_text() + "\n", re.MULTILINE)
    return ["\n".join(line[4:] for line in block.splitlines()) + "\n" for block in found]
