"""What the documentation says about brokers is what the conformance suite found.

A run of all tests compares it with what it finds itself, see ``tests/tools/conformance.py``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from aspyx_event import Capabilities, LocalProvider
from tests.docs.pages import DOCS, ROOT

DOCUMENT = json.loads((DOCS / "brokers" / "conformance.json").read_text())
MODULES = sorted((ROOT / "tests" / "conformance").glob("test_*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_every_pair_is_documented(module: Path) -> None:
    """Each module of the suite's tests has its results in the documentation: all its tests, none failed."""
    pair = DOCUMENT[module.stem[len("test_") :].replace("_", "/")]
    assert sum(group["passed"] for group in pair["groups"].values()) > 0
    assert not any(group["failed"] for group in pair["groups"].values())


def test_all_pairs_have_the_same_tests_and_capabilities() -> None:
    """The results are of one suite: as many tests for each pair, and every capability there is."""
    names = {field.name for field in fields(Capabilities)}
    assert {frozenset(pair["capabilities"]) for pair in DOCUMENT.values()} == {frozenset(names)}
    assert (
        len({json.dumps({name: sum(g.values()) for name, g in pair["groups"].items()}) for pair in DOCUMENT.values()})
        == 1
    )


def test_what_is_said_of_local_is_true() -> None:
    """The capabilities of LocalProvider are those in the documentation."""
    assert DOCUMENT["local"]["capabilities"] == asdict(LocalProvider().capabilities)
