"""What the conformance suite found for each pair of protocol and broker: read from pytest's junit XML, printed, and
compared with what the documentation says (``docs/brokers/conformance.json``, of which the documentation makes a table).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from .shell import ROOT, say

DOCUMENT = ROOT / "docs" / "brokers" / "conformance.json"
_MODULE = "tests.conformance.test_"
_WRITE = "sh tests/run --conformance"


@dataclass
class Group:
    """The tests of one kind: how many did what."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass
class Pair:
    """One pair. It was run when the provider could be started: then it has capabilities."""

    capabilities: dict[str, bool] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    capability_skips: dict[str, int] = field(default_factory=dict)
    """Skipped tests for each capability that is missing."""
    hook_skips: dict[str, int] = field(default_factory=dict)
    """Skipped tests for each hook that is missing in the test module: not a property of the provider."""
    other_skips: dict[str, int] = field(default_factory=dict)
    """Tests skipped for other reasons."""

    def count(self, what: str) -> int:
        return sum(getattr(group, what) for group in self.groups.values())


def read(results: Path) -> dict[str, Pair]:
    """The pairs in all junit files of a folder, in alphabetical order."""
    pairs: dict[str, Pair] = {}
    for file in results.glob("*.xml"):
        for case in ElementTree.parse(file).getroot().iter("testcase"):
            module = case.get("classname", "").rpartition(".")[0]
            if module.startswith(_MODULE):
                _add(pairs.setdefault(module[len(_MODULE) :].replace("_", "/"), Pair()), case)
    return {name: pairs[name] for name in sorted(pairs)}


def _add(pair: Pair, case: ElementTree.Element) -> None:
    notes = {found.get("name", ""): found.get("value", "") for found in case.iter("property")}
    group = pair.groups.setdefault(notes.get("group", "?"), Group())
    skipped = case.find("skipped")
    if case.find("failure") is not None or case.find("error") is not None:
        group.failed += 1
    elif skipped is None:
        group.passed += 1
    else:
        group.skipped += 1
        if "lacks_capability" in notes:
            _count(pair.capability_skips, notes["lacks_capability"])
        elif "lacks_hook" in notes:
            _count(pair.hook_skips, notes["lacks_hook"])
        else:
            _count(pair.other_skips, skipped.get("message", "no reason"))
    if "capabilities" in notes:
        pair.capabilities = json.loads(notes["capabilities"])


def _count(reasons: dict[str, int], reason: str) -> None:
    reasons[reason] = reasons.get(reason, 0) + 1


# -- the table at the end of a run -------------------------------------------------------------------------------------


def table(pairs: dict[str, Pair]) -> str:
    """A row for each pair, with the reasons of its skips."""
    lines = [f"  {'conformance':18}{'passed':>8}{'failed':>8}{'skipped':>9}  why skipped"]
    for name, pair in pairs.items():
        numbers = "".join(f"{pair.count(what):{width}}" for what, width in _COLUMNS)
        lines.append(f"  {name:18}{numbers}  {_reasons(pair)}".rstrip())
    return "\n".join(lines)


_COLUMNS = (("passed", 8), ("failed", 8), ("skipped", 9))


def _reasons(pair: Pair) -> str:
    found = []
    for what, reasons in (
        ("capability", pair.capability_skips),
        ("hook", pair.hook_skips),
        ("other", pair.other_skips),
    ):
        if reasons:
            found.append(f"{what}: " + ", ".join(f"{reason} ({count})" for reason, count in sorted(reasons.items())))
    return "; ".join(found)


# -- the document ------------------------------------------------------------------------------------------------------


def check(pairs: dict[str, Pair]) -> int:
    """Compare with the committed document; only pairs that ran. Returns an exit code."""
    document = _document()
    complaints = [
        f"{DOCUMENT.relative_to(ROOT)} does not tell what {name} does: {difference}"
        for name, pair in pairs.items()
        if pair.capabilities
        for difference in _differences(document.get(name), asdict(pair))
    ]
    for complaint in complaints:
        say(complaint)
    if complaints:
        say(f"where the tests are right, `{_WRITE}` writes it anew")
    return int(bool(complaints))


def write(pairs: dict[str, Pair]) -> int:
    """Write the document; pairs that did not run keep what it says of them. Returns an exit code."""
    failed = [name for name, pair in pairs.items() if pair.count("failed")]
    if failed:
        say(f"{DOCUMENT.relative_to(ROOT)} is left as it is: tests failed on {', '.join(failed)}")
        return 1
    document = _document()
    document.update({name: asdict(pair) for name, pair in pairs.items() if pair.capabilities})
    DOCUMENT.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    say(f"{DOCUMENT.relative_to(ROOT)} is written")
    return 0


def _document() -> dict[str, Any]:
    if not DOCUMENT.exists():
        return {}
    found: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return found


def _differences(documented: dict[str, Any] | None, found: dict[str, Any]) -> list[str]:
    if documented is None:
        return ["it is not in there"]
    return [
        f"{key}: {documented.get(key)} there, {value} here"
        for key, value in found.items()
        if documented.get(key) != value
    ]
