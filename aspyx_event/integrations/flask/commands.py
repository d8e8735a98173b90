"""``flask events ...``: each command works on the manager of the application that Flask has loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask.cli import AppGroup

from aspyx_event.exceptions import ConfigurationError, EventError
from aspyx_event.integrations.flask.state import AppEvents, current_events

OK, FOUND, WRONG, NO_ANSWER = 0, 1, 2, 3
"""The exit codes: done; something is not as it should be; wrong usage or settings; the broker could not be asked."""

events_group = AppGroup("events", help="Listen to events, send them, and look after those that failed.")


@contextmanager
def errors_shown() -> Iterator[AppEvents]:
    """The events of the application; the library's errors become a sentence and an exit code."""
    try:
        yield current_events()
    except EventError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(WRONG if isinstance(error, ConfigurationError) else NO_ANSWER)


@events_group.command()
def listen() -> None:
    """Handle events until Ctrl-C or SIGTERM; then let running listeners finish, and give back what waits."""
    with errors_shown() as events:
        if events.settings.is_local:
            raise click.UsageError(
                "the events of local:// stay in the process that sends them, which listens by itself: for a process "
                "that listens, ASPYX_EVENT['URL'] has to name a broker"
            )
        click.echo(f"{events.manager.describe()}\n")
        click.echo("listening; Ctrl-C ends it")
        code = events.manager.run(events.settings.stop_timeout)
        counts = events.manager.health().listeners.values()
        click.echo(
            f"{sum(one.handled for one in counts)} handled, {sum(one.failed for one in counts)} attempts failed, "
            f"{sum(one.dead_lettered for one in counts)} in the error queue"
        )
    sys.exit(code)


@events_group.command()
def describe() -> None:
    """Show which listeners there are, and which queues they read. Connects to nothing."""
    with errors_shown() as events:
        click.echo(str(events.manager.describe()))


@events_group.command()
@click.option("--offline", is_flag=True, help="Check settings and declarations only, and ask no broker.")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="Seconds.")
def check(offline: bool, timeout: float) -> None:
    """Check the settings, the events and listeners, and that the broker has what they need. Creates nothing.

    Exit codes: 0 all is well; 1 the broker lacks something, or could not tell; 2 settings or declarations are wrong;
    3 the broker could not be asked.
    """
    with errors_shown() as events:
        registry, manager = events.registry, events.manager
        click.echo(f"{len(registry.events)} events and {len(registry.listeners)} listeners at {manager.provider!r}")
        differences = [] if offline or events.settings.is_local else manager.check_topology(timeout)
    for difference in differences:
        click.echo(str(difference))
    if differences:
        click.echo("what is missing is created by the first start, unless declare=false keeps it from doing so")
        sys.exit(FOUND)
