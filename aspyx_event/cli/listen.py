"""``listen``."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import click

from aspyx_event.cli.actions.listening import EVERY, listen
from aspyx_event.cli.application import manager_of
from aspyx_event.cli.config import Settings
from aspyx_event.cli.options import as_json, broker_options
from aspyx_event.cli.screen import screen_for_output
from aspyx_event.manager import STOP_TIMEOUT


@click.command("listen")
@click.argument("module", metavar="[MODULE[:NAME]]", required=False)
@click.option("--workers", type=click.IntRange(min=1), help="Threads for listeners. [env: ASPYX_EVENT_WORKERS]")
@click.option("--every", type=click.FloatRange(min=0.1), default=EVERY, show_default=True,
              help="Seconds between two lines of counters, where they go to a file.")  # fmt: skip
@click.option("--stop-timeout", type=click.FloatRange(min=0), default=STOP_TIMEOUT, show_default=True,
              help="Seconds for running listeners at the end.")  # fmt: skip
@broker_options()
@as_json
def listen_command(
    module: Optional[str],
    chosen: Settings,
    workers: Optional[int],
    every: float,
    stop_timeout: float,
    as_json: bool,
) -> int:
    """Handle events, with the listeners of MODULE, until Ctrl-C or SIGTERM.

    MODULE is what --app is. Running listeners finish at the end, and what waits goes back to its queue.

    Exit codes: 0 stopped in order; 2 wrong usage; 3 no connection at the start; 70 a listener did not return.
    """
    chosen = replace(chosen, app=module or chosen.app, workers=workers or chosen.workers)
    if not chosen.app:
        raise click.UsageError("whose listeners? Give MODULE, set ASPYX_EVENT_APP, or write app= into aspyx_event.ini")
    screen = screen_for_output()
    return listen(manager_of(chosen), screen, stop_timeout=stop_timeout, every=every, as_json=as_json)
