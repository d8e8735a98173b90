"""The table, the file that keeps the last ratios, and the difference between the two."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.benchmarks import promises
from tests.benchmarks.measuring import Row

LAST = Path(__file__).with_name("last.json")
"""The last figures; ``last.txt`` beside it shows them."""
_PACKAGES = ("pydantic", "python-qpid-proton", "stomp.py")
_PEERS = Path(__file__).with_name("requirements-peers.txt")


def circumstances(brokers: Iterable[str]) -> dict[str, Any]:
    """The machine, how busy others keep it, and versions."""
    pins = re.findall(r"^(celery|dramatiq)\b.*==(.*)$", _PEERS.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processors": os.cpu_count(),
        "model": _processor(),
        "load": load(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
        **dict(pins),
        "brokers": sorted(brokers),
    }


def load() -> float:
    """Runnable processes, the average of five minutes."""
    return round(os.getloadavg()[1], 1)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def line(row: Row) -> str:
    """A row of the table."""
    spread = f"{min(row.ratios):.2f}-{max(row.ratios):.2f}"
    return f"{row.name:46} {row.figure:13}{row.ours:11.1f}{row.raw:11.1f}{row.ratio:8.2f}  {spread:11} {row.better}"


def as_text(rows: Sequence[Row], about: dict[str, Any]) -> str:
    """The table with its circumstances, as it is printed, and shown in the documentation."""
    told = [f"{key}: {value}" for key, value in about.items()]
    return "\n".join([*told, "", *promises.lines(rows), "", HEAD, *map(line, rows)]) + "\n"


HEAD = f"{'':46} {'':13}{'ours':>11}{'theirs':>11}{'ratio':>8}  {'spread':11} better"


def as_json(rows: Sequence[Row], about: dict[str, Any]) -> str:
    """All figures, for programs, and for ``last.json``."""
    found = [
        {
            "name": row.name,
            "against": row.against,
            "figure": row.figure,
            "ours": round(row.ours, 3),
            "raw": round(row.raw, 3),
            "ratio": round(row.ratio, 3),
            "ratios": [round(ratio, 3) for ratio in row.ratios],
        }
        for row in rows
    ]
    return json.dumps({"about": about, "rows": found}, indent=1) + "\n"


def keep(text: str, last: Path = LAST) -> None:
    """Make these the last figures: what ``as_json`` made, and the table of it."""
    found = json.loads(text)
    rows = [
        Row(row["name"], row["against"], row["figure"], row["ours"], row["raw"], tuple(row["ratios"]))
        for row in found["rows"]
    ]
    last.write_text(text, encoding="utf-8")
    last.with_suffix(".txt").write_text(as_text(rows, found["about"]), encoding="utf-8")


def differences(rows: Sequence[Row], last: Path = LAST) -> list[str]:
    """What the ratios were, and are: a line for each row that the file knows. Says nothing about good or bad."""
    if not last.exists():
        return [f"{last.name}: there is nothing to compare with; --save writes it"]
    kept = json.loads(last.read_text(encoding="utf-8"))
    before = {(row["name"], row["figure"]): row["ratios"] for row in kept["rows"]}
    lines = [f"ratios against those of {kept['about']['date']} (spread in brackets)"]
    for row in rows:
        then = before.get((row.name, row.figure))
        if then is None:
            continue
        middle = sorted(then)[len(then) // 2]
        apart = min(row.ratios) > max(then) or max(row.ratios) < min(then)
        lines.append(
            f"{row.name:46} {row.figure:13}{middle:6.2f} [{min(then):.2f}-{max(then):.2f}] -> {row.ratio:6.2f} "
            f"[{min(row.ratios):.2f}-{max(row.ratios):.2f}]{'  no round of the one is in the other' if apart else ''}"
        )
    return lines
