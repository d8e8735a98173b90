"""The page about testing, run by pytest as its reader would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import DOCS, ROOT, code_blocks
from tests.unit.testing.test_plugin import plugin_option

PAGE = DOCS / "guide" / "testing-your-code.rst"


def test_the_tests_of_the_page(tmp_path: Path) -> None:
    """All tests of the page pass under pytest, those with fixtures too; the one that needs a broker is left out."""
    (tmp_path / "test_page.py").write_text("\n".join(code_blocks(PAGE)))
    options = ["-q", "-p", "no:cacheprovider", "-k", "not lost_connection", *plugin_option()]
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", *options, str(tmp_path)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "7 passed, 1 deselected" in result.stdout
