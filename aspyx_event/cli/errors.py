"""``errors list``, ``show``, ``replay`` and ``discard``."""

from __future__ import annotations

import click

from aspyx_event.cli.actions.errors import discard_errors, list_errors, replay_errors, show_errors
from aspyx_event.cli.actions.selection import Selection
from aspyx_event.cli.application import manager_of, sending
from aspyx_event.cli.config import Settings
from aspyx_event.cli.options import as_json, broker_options, selecting, timeout
from aspyx_event.cli.screen import screen_for_output
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.manager import EventManager

_ALL = click.option("--all", "everything", is_flag=True, help="All there are.")


@click.group(no_args_is_help=True)
def errors() -> None:
    """The events that failed for good, and lie in the error queue.

    Exit codes: 0 done; 1 an event is not there, or could not be sent back; 2 wrong usage; 3 the broker did not answer.
    """


@errors.command("list")
@selecting
@broker_options()
@timeout
@as_json
def list_command(chosen: Settings, selection: Selection, timeout: float, as_json: bool) -> int:
    """List them, oldest first. Nothing is taken out of the queue."""
    with sending(_manager(chosen), timeout) as manager:
        return list_errors(manager, screen_for_output(), selection, as_json=as_json)


@errors.command("show")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@selecting
@broker_options()
@timeout
@as_json
def show_command(chosen: Settings, selection: Selection, timeout: float, as_json: bool) -> int:
    """Show everything about some of them: headers, stack, body."""
    with sending(_manager(chosen), timeout) as manager:
        return show_errors(manager, screen_for_output(), selection, as_json=as_json)


@errors.command("replay")
@click.argument("ids", metavar="[ID...]", nargs=-1)
@selecting
@_ALL
@broker_options()
@timeout
@as_json
def replay_command(chosen: Settings, selection: Selection, everything: bool, timeout: float, as_json: bool) -> int:
    """Send them back to the listeners that they failed in, to be handled again.

    Which queues there are, and whose, --app says: an event goes nowhere else.
    """
    _check(selection, everything)
    if not chosen.app:
        raise click.UsageError("whose listeners? Give --app, set ASPYX_EVENT_APP, or write app= into aspyx_event.ini")
    with sending(manager_of(chosen), timeout) as manager:
        return replay_errors(manager, screen_for_output(), selection, as_json=as_json)


@errors.command("discard")
@click.argument("ids", metavar="[ID...]", nargs=-1)
@selecting
@_ALL
@click.option("--yes", is_flag=True, help="Do not ask.")
@broker_options()
@timeout
@as_json
def discard_command(
    chosen: Settings, selection: Selection, everything: bool, yes: bool, timeout: float, as_json: bool
) -> int:
    """Remove them for good, after a question."""
    _check(selection, everything)
    with sending(_manager(chosen), timeout) as manager:
        return discard_errors(manager, screen_for_output(), selection, confirm=_yes if yes else _asked, as_json=as_json)


def _manager(chosen: Settings) -> EventManager:
    """The error queue is the same whatever listeners there are; only without a URL the application has to know it."""
    if chosen.url or not chosen.app:
        return EventManager(chosen.full_url)
    return manager_of(chosen)


def _check(selection: Selection, everything: bool) -> None:
    if everything == (not selection.everything):
        raise ConfigurationError("which ones? Give ids, or --listener, --type, --since, --limit, or --all by itself")


def _yes(_question: str) -> bool:
    return True


def _asked(question: str) -> bool:
    try:
        return click.confirm(question, default=False, err=True)
    except click.Abort:  # the end of the input: nobody was there to say yes
        return False
