"""Showing lines and tables: with rich where it is installed, as plain text elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from typing import Protocol

STYLES = {
    "sending": "cyan",
    "confirmed": "bold cyan",
    "handled": "green",
    "failed": "yellow",
    "retried": "yellow",
    "dead letter": "bold red",
    "replaying": "magenta",
}


class Screen(Protocol):
    """What a command writes to."""

    def text(self, line: str) -> None:
        """One line of prose."""

    def step(self, seconds: float, kind: str, event_id: str, listener: str, what: str) -> None:
        """One line of a timeline."""

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table."""


class PlainScreen:
    """Text, one line at a time."""

    def text(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def step(self, seconds: float, kind: str, event_id: str, listener: str, what: str) -> None:
        self.text(f"{seconds:6.2f} s  {kind:<11}  {event_id:<7}  {listener:<8}  {what}")

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in (headings, *rows)]
        self.text("\n".join(["", title, "", lines[0], "  ".join("-" * width for width in widths), *lines[1:]]))


class RichScreen:
    """The same with colours and frames."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(highlight=False)

    def text(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    def step(self, seconds: float, kind: str, event_id: str, listener: str, what: str) -> None:
        from rich.text import Text

        line = Text.assemble(
            (f"{seconds:6.2f} s  ", "dim"),
            (f"{kind:<11}  ", STYLES.get(kind, "")),
            f"{event_id:<7}  ",
            (f"{listener:<8}  ", "blue"),
            what,
        )
        self._console.print(line, soft_wrap=True)

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title, title_justify="left")
        for heading in headings:
            table.add_column(heading)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print()
        self._console.print(table)


def screen(*, plain: bool = False) -> Screen:
    """The best screen there is."""
    return PlainScreen() if plain or importlib.util.find_spec("rich") is None else RichScreen()
