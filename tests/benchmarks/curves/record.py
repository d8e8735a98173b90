"""A curve as it is kept: points with names, and the circumstances; one JSON file each, beside ``last.json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.benchmarks import report

FOLDER = Path(__file__).parents[1]
Point = dict[str, Any]


def file_of(name: str) -> Path:
    """Where the curve of this name is kept."""
    return FOLDER / f"curve_{name}.json"


def keep(name: str, points: Iterable[Point], *, brokers: Iterable[str], unit: str, into: Path | None) -> None:
    """Print each point as it comes, and write the file again after each: a long run may be interrupted."""
    about = {**report.circumstances(brokers), "unit": unit}
    found: list[Point] = []
    for point in points:
        found.append(point)
        about["load at the end"] = report.load()
        sys.stdout.write(" ".join(f"{key}={_short(value)}" for key, value in point.items()) + "\n")
        sys.stdout.flush()
        text = json.dumps({"about": about, "points": found}, indent=1)
        (into or file_of(name)).write_text(text + "\n", encoding="utf-8")


def _short(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value
