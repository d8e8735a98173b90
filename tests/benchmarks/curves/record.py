"""A curve as it is kept: points with names, and the circumstances; one JSON file each, beside ``last.json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import report

FOLDER = Path(__file__).parents[1]
Point = dict[str, Any]


def file_of(name: str) -> Path:
    """Where the curve of this name is kept."""
    return FOLDER / f"curve_{name}.json"


def keep(
    name: str,
    points: Iterable[Point],
    *,
    brokers: Iterable[str],
    unit: str,
    into: Path | None,
    as_table: bool = False,
) -> None:
    """Print each point as it comes, and write the file again after each: a long run may be interrupted.

    as_table: as a ``.txt`` beside it, too, which the documentation shows.
    """
    about = {**report.circumstances(brokers), "unit": unit}
    found: list[Point] = []
    for point in points:
        found.append(point)
        about["load at the end"] = report.load()
        sys.stdout.write(" ".join(f"{key}={_short(value)}" for key, value in point.items()) + "\n")
        sys.stdout.flush()
        text = json.dumps({"about": about, "points": found}, indent=1)
        file = into or file_of(name)
        file.write_text(text + "\n", encoding="utf-8")
        if as_table:
            file.with_suffix(".txt").write_text(turned(found), encoding="utf-8")


def turned(points: Sequence[Point]) -> str:
    """A table with a column for each point, for few points with many values."""
    names = list(dict.fromkeys(name for point in points for name in point))
    lines = [f"{name:27}" + "".join(f"{_column(point.get(name, '')):>10}" for point in points) for name in names]
    return "\n".join(lines) + "\n"


def _column(value: Any) -> str:
    if isinstance(value, (int, float)):
        return f"{value:,.2f}" if isinstance(value, float) and value < 10 else f"{value:,.0f}"
    return str(value)


def _short(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value
