"""Showing lines, tables and progress: with rich where it is installed, as plain text elsewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional, Protocol, TextIO

STYLES = {
    "sending": "cyan",
    "confirmed": "bold cyan",
    "handled": "green",
    "failed": "yellow",
    "retried": "yellow",
    "dead letter": "bold red",
    "replaying": "magenta",
}
LONG = 10
"""From so many steps on, progress is shown."""

Step = Callable[[], None]


class Screen(Protocol):
    """What a command writes to: results to stdout, all else to stderr, so that a script can read the first alone."""

    def text(self, line: str) -> None:
        """One line of prose."""

    def note(self, line: str) -> None:
        """One line that is no result; to stderr."""

    def step(self, seconds: float, kind: str, event_id: str, listener: str, what: str) -> None:
        """One line of a timeline."""

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table."""

    def json(self, value: Any, *, line: bool = False) -> None:
        """A value for scripts; ``line``: on a single line."""

    def progress(self, title: str, total: int) -> contextlib.AbstractContextManager[Step]:
        """Around a loop: call what it gives after each step. To stderr, and only to a terminal."""
        ...

    def status(self) -> contextlib.AbstractContextManager[Optional[Callable[[Sequence[Sequence[str]]], None]]]:
        """Around waiting: what it gives shows rows that change; None where nothing can be shown again in its place."""
        ...


class PlainScreen:
    """Text, one line at a time."""

    def __init__(self, out: Optional[TextIO] = None, err: Optional[TextIO] = None) -> None:
        self._out, self._err = out, err

    def text(self, line: str) -> None:
        """See Screen."""
        stream = self._out or sys.stdout
        stream.write(f"{line}\n")
        stream.flush()

    def note(self, line: str) -> None:
        """See Screen."""
        stream = self._err or sys.stderr
        stream.write(f"{line}\n")
        stream.flush()

    def step(self, seconds: float, kind: str, event_id: str, listener: str, what: str) -> None:
        """See Screen."""
        self.text(f"{seconds:6.2f} s  {kind:<11}  {event_id:<7}  {listener:<8}  {what}")

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """See Screen."""
        widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in (headings, *rows)]
        above = ["", title, ""] if title else []
        self.text("\n".join([*above, lines[0], "  ".join("-" * width for width in widths), *lines[1:]]))

    def json(self, value: Any, *, line: bool = False) -> None:
        """See Screen."""
        self.text(json.dumps(value, indent=None if line else 2))

    @contextlib.contextmanager
    def progress(self, title: str, total: int) -> Iterator[Step]:
        """See Screen. A line that is written over."""
        stream = self._err or sys.stderr
        shown = total >= LONG and stream.isatty()
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            if shown:
                stream.write(f"\r{title}: {done} of {total}")
                stream.flush()

        try:
            yield step
        finally:
            if shown and done:
                stream.write("\n")

    @contextlib.contextmanager
    def status(self) -> Iterator[Optional[Callable[[Sequence[Sequence[str]]], None]]]:
        """See Screen. Nothing: plain text is not taken back."""
        yield None


class RichScreen(PlainScreen):
    """The same with colours and frames."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console

        self._console = Console(highlight=False)

    def text(self, line: str) -> None:
        """See Screen."""
        self._console.print(line, markup=False, soft_wrap=True)

    def step(self, seconds: float, kind: str, event_id: str, listener: str, what: str) -> None:
        """See Screen."""
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
        """See Screen."""
        self._console.print()
        self._console.print(_table(title, headings, rows))

    def json(self, value: Any, *, line: bool = False) -> None:
        """See Screen. Without colours: it is for scripts."""
        PlainScreen().text(json.dumps(value, indent=None if line else 2))

    @contextlib.contextmanager
    def progress(self, title: str, total: int) -> Iterator[Step]:
        """See Screen."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        if total < LONG or not console.is_terminal:
            yield lambda: None
            return
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(title, total=total)
            yield lambda: bar.advance(task)

    @contextlib.contextmanager
    def status(self) -> Iterator[Optional[Callable[[Sequence[Sequence[str]]], None]]]:
        """See Screen."""
        if not self._console.is_terminal:
            yield None
            return
        from rich.live import Live

        with Live(console=self._console, auto_refresh=False) as live:

            def show(rows: Sequence[Sequence[str]]) -> None:
                live.update(_table("", rows[0], rows[1:]), refresh=True)

            yield show


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left")
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def screen(*, plain: bool = False) -> Screen:
    """The best screen there is."""
    return PlainScreen() if plain or importlib.util.find_spec("rich") is None else RichScreen()


def screen_for_output() -> Screen:
    """The same for results that a file or another program may get: without frames and colours there."""
    return screen(plain=not sys.stdout.isatty())
