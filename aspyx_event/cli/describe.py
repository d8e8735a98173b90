"""``describe``."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import click

from aspyx_event.cli.actions.describing import describe
from aspyx_event.cli.application import manager_of
from aspyx_event.cli.config import Settings
from aspyx_event.cli.options import as_json, broker_options
from aspyx_event.cli.screen import screen_for_output


@click.command("describe")
@click.argument("module", metavar="[MODULE[:NAME]]", required=False)
@broker_options()
@as_json
def describe_command(module: Optional[str], chosen: Settings, as_json: bool) -> int:
    """Show the events and listeners of MODULE, and the queues that they read. Connects to nothing.

    Without a broker, the names are those on local://.
    """
    chosen = replace(chosen, app=module or chosen.app)
    if not chosen.app:
        raise click.UsageError("of what? Give MODULE, set ASPYX_EVENT_APP, or write app= into aspyx_event.ini")
    return describe(manager_of(chosen, url="local://"), screen_for_output(), as_json=as_json)
