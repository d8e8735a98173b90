"""The directive ``conformance-table``: what ``docs/brokers/conformance.json`` says, as tables.

The conformance suite writes that file (``sh tests/run --conformance``), and a run of all tests compares it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

DOCUMENT = Path(__file__).parents[1] / "brokers" / "conformance.json"

_CAPABILITIES = {
    "durable": "durable events outlive a restart of the broker, and wait for their listeners",
    "delay": "a delivery can be delayed",
    "ttl": "events can expire",
    "per_process": "every process can have its own queue",
    "cross_process": "senders and listeners may be different processes",
    "browse": "the error queue can be read without consuming it",
    "delivery_count": "the broker counts deliveries whose consumer died",
}
_GROUPS = {
    "FlowTests": "from sending to handling",
    "SettlingTests": "deliveries, settlements, credit",
    "FailingTests": "retries, dead letters, replay",
    "LifecycleTests": "start, stop, being away",
    "FaultTests": "connections that break",
    "OutageTests": "brokers that restart, crash or fall silent",
}


class ConformanceTable(SphinxDirective):
    """``.. conformance-table:: capabilities`` or ``tests``."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Called by docutils."""
        self.env.note_dependency(str(DOCUMENT))
        pairs: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
        lines = {"capabilities": capabilities, "tests": tests}[self.arguments[0]](pairs)
        node = nodes.Element()
        self.state.nested_parse(StringList(lines, str(DOCUMENT)), self.content_offset, node)
        return node.children


def capabilities(pairs: dict[str, Any]) -> list[str]:
    """What the started provider of each pair says about itself."""
    names = {name: None for pair in pairs.values() for name in pair["capabilities"]}
    rows = [
        [f"``{name}``: {_CAPABILITIES[name]}", *(_word(pair["capabilities"][name]) for pair in pairs.values())]
        for name in names
    ]
    return _table(["capability", *pairs], rows)


def tests(pairs: dict[str, Any]) -> list[str]:
    """How many tests each pair passed, and why it skipped others."""
    names = dict.fromkeys([*_GROUPS, *(name for pair in pairs.values() for name in pair["groups"])])
    rows = [
        [_GROUPS.get(name, name), *(_numbers(pair["groups"].get(name)) for pair in pairs.values())] for name in names
    ]
    return [*_table(["tests passed", *pairs], rows), "", *_reasons(pairs)]


def _word(able: bool) -> str:
    return "yes" if able else "no"


def _numbers(group: dict[str, int] | None) -> str:
    if group is None:
        return "none"
    return f"{group['passed']} of {group['passed'] + group['failed'] + group['skipped']}"


def _reasons(pairs: dict[str, Any]) -> list[str]:
    found = []
    for name, pair in pairs.items():
        for what, reasons in (
            ("the capability ``{}`` is missing", pair["capability_skips"]),
            ("``{}()`` is no hook of its tests", pair["hook_skips"]),
            ("{}", pair["other_skips"]),
        ):
            found += [f"* {name}: {count} skipped, {what.format(reason)}" for reason, count in reasons.items()]
    return found


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [head, *rows]:
        lines += [f"   {'* -' if number == 0 else '  -'} {cell}" for number, cell in enumerate(row)]
    return lines


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("conformance-table", ConformanceTable)
    return {"parallel_read_safe": True}
