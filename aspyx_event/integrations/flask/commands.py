"""``flask events ...``: the commands of ``aspyx-event``, for the manager of the application that Flask has loaded."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Optional

import click
from flask.cli import AppGroup

from aspyx_event.cli.actions.describing import counted, describe
from aspyx_event.cli.actions.listening import listen
from aspyx_event.cli.actions.sending import body_from, event_named, headers_from, send
from aspyx_event.cli.application import event_of, sending
from aspyx_event.cli.codes import FOUND, OK, code_of
from aspyx_event.cli.options import as_json, timeout
from aspyx_event.cli.screen import screen_for_output
from aspyx_event.exceptions import EventError
from aspyx_event.integrations.flask.state import AppEvents, current_events
from aspyx_event.manager import EventManager

events_group = AppGroup(
    "events",
    help="Listen to events, send them, and look after those that failed.\n\nExit codes of all commands: 0 done; 1 "
    "something was found, or failed; 2 wrong usage or declarations; 3 the broker did not answer; 70 a listener did not "
    "return.",
)


@contextlib.contextmanager
def errors_shown() -> Iterator[AppEvents]:
    """The events of the application; the library's errors become a sentence and an exit code."""
    try:
        yield current_events()
    except EventError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(code_of(error))


@contextlib.contextmanager
def connected(timeout: float) -> Iterator[EventManager]:
    """The manager, started for this command and without listeners."""
    with errors_shown() as events:
        events.settings.check_not_local()
        with sending(events.manager, timeout) as manager:
            yield manager


@events_group.command("listen")
@as_json
def listen_command(as_json: bool) -> None:
    """Handle events until Ctrl-C or SIGTERM; then running listeners finish, and what waits goes back to its queue."""
    with errors_shown() as events:
        events.settings.check_not_local()
        code = listen(events.manager, screen_for_output(), stop_timeout=events.settings.stop_timeout, as_json=as_json)
    sys.exit(code)


@events_group.command("send")
@click.argument("event")
@click.argument("body", metavar="JSON")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; may be given several times.")
@click.option("--key", help="Events of one key are handled one after the other.")
@click.option("--delay", type=click.FloatRange(min=0), help="Seconds before it may be handled.")
@click.option("--ttl", type=click.FloatRange(min=0.001), help="Seconds after which it must not be handled.")
@click.option("--id", "event_id", help="Its id; by default a new one.")
@timeout
@as_json
def send_command(
    event: str, body: str, headers: Sequence[str], event_id: Optional[str], timeout: float, **options: Any
) -> None:
    """Send one event, made from its JSON, which its own class checks; - reads it from stdin.

    EVENT is the name of an event of the application, or MODULE:Event.
    """
    with connected(timeout) as manager:
        kind = event_of(event) if ":" in event else event_named(manager.registry, event, owner="application")
        text = body_from(body)
        code = send(
            manager,
            screen_for_output(),
            kind,
            text,
            headers=headers_from(headers),
            id=event_id,
            timeout=timeout,
            **options,
        )
    sys.exit(code)


@events_group.command("describe")
@as_json
def describe_command(as_json: bool) -> None:
    """Show which listeners there are, and which queues they read. Connects to nothing."""
    with errors_shown() as events:
        sys.exit(describe(events.manager, screen_for_output(), as_json=as_json))


@events_group.command("check")
@click.option("--offline", is_flag=True, help="Check settings and declarations only, and ask no broker.")
@timeout
def check_command(offline: bool, timeout: float) -> None:
    """Check the settings, the events and listeners, and that the broker has what they need. Creates nothing.

    The exit code is 1 when the broker lacks something, or could not tell.
    """
    with errors_shown() as events:
        manager, asked = events.manager, not (offline or events.settings.is_local)
        click.echo(f"{counted(manager.registry)} on {events.settings.shown_url}")
        differences = manager.check_topology(timeout) if asked else []
    for difference in differences:
        click.echo(str(difference))
    if differences:
        click.echo("what is missing is created by the first start, unless declare=false keeps it from doing so")
    elif asked:
        click.echo("everything is there")
    sys.exit(FOUND if differences else OK)
