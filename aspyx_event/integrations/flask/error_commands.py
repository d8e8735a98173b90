"""``flask events errors list``, ``show``, ``replay`` and ``discard``."""

from __future__ import annotations

import sys

import click
from flask.cli import AppGroup

from aspyx_event.cli.actions.errors import discard_errors, list_errors, replay_errors, show_errors
from aspyx_event.cli.actions.selection import Selection
from aspyx_event.cli.options import as_json, selecting, timeout
from aspyx_event.cli.screen import screen_for_output
from aspyx_event.integrations.flask.commands import connected

_ALL = click.option("--all", "everything", is_flag=True, help="All there are.")

errors_group = AppGroup("errors", help="The events that failed for good, and lie in the error queue.")


@errors_group.command("list")
@selecting
@timeout
@as_json
def list_command(selection: Selection, timeout: float, as_json: bool) -> None:
    """List them, oldest first. Nothing is taken out of the queue."""
    with connected(timeout) as manager:
        code = list_errors(manager, screen_for_output(), selection, as_json=as_json)
    sys.exit(code)


@errors_group.command("show")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@selecting
@timeout
@as_json
def show_command(selection: Selection, timeout: float, as_json: bool) -> None:
    """Show everything about some of them: headers, stack, body."""
    with connected(timeout) as manager:
        code = show_errors(manager, screen_for_output(), selection, as_json=as_json)
    sys.exit(code)


@errors_group.command("replay")
@click.argument("ids", metavar="[ID...]", nargs=-1)
@selecting
@_ALL
@timeout
@as_json
def replay_command(selection: Selection, everything: bool, timeout: float, as_json: bool) -> None:
    """Send them back to the listeners of the application that they failed in, to be handled again."""
    _check(selection, everything)
    with connected(timeout) as manager:
        code = replay_errors(manager, screen_for_output(), selection, as_json=as_json)
    sys.exit(code)


@errors_group.command("discard")
@click.argument("ids", metavar="[ID...]", nargs=-1)
@selecting
@_ALL
@click.option("--yes", is_flag=True, help="Do not ask.")
@timeout
@as_json
def discard_command(selection: Selection, everything: bool, yes: bool, timeout: float, as_json: bool) -> None:
    """Remove them for good, after a question."""
    _check(selection, everything)
    with connected(timeout) as manager:
        code = discard_errors(manager, screen_for_output(), selection, confirm=_yes if yes else _asked, as_json=as_json)
    sys.exit(code)


def _check(selection: Selection, everything: bool) -> None:
    if everything == (not selection.everything):
        raise click.UsageError("which ones? Give ids, or --listener, --type, --since, --limit, or --all by itself")


def _yes(_question: str) -> bool:
    return True


def _asked(question: str) -> bool:
    try:
        return click.confirm(question, default=False, err=True)
    except click.Abort:  # the end of the input: nobody was there to say yes
        return False
