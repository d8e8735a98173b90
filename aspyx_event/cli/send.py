"""``send``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

import click

from aspyx_event.cli.actions.sending import body_from, headers_from, send
from aspyx_event.cli.application import event_of, manager_of, sending
from aspyx_event.cli.config import Settings
from aspyx_event.cli.options import as_json, broker_options, timeout
from aspyx_event.cli.screen import screen_for_output


@click.command("send")
@click.argument("event", metavar="MODULE:EVENT")
@click.argument("body", metavar="JSON")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; may be given several times.")
@click.option("--key", help="Events of one key are handled one after the other.")
@click.option("--delay", type=click.FloatRange(min=0), help="Seconds before it may be handled.")
@click.option("--ttl", type=click.FloatRange(min=0.001), help="Seconds after which it must not be handled.")
@click.option("--id", "event_id", help="Its id; by default a new one.")
@broker_options()
@timeout
@as_json
def send_command(
    event: str,
    body: str,
    headers: Sequence[str],
    key: Optional[str],
    delay: Optional[float],
    ttl: Optional[float],
    event_id: Optional[str],
    chosen: Settings,
    timeout: float,
    as_json: bool,
) -> int:
    """Send one event, made from its JSON; - reads it from stdin.

    The event's own class checks it. Pipelines are those of --app, by default those of MODULE.

    Exit codes: 0 the broker has confirmed it; 1 it refused it; 2 wrong usage, or JSON that is no such event; 3 the
    broker did not answer.
    """
    kind = event_of(event)
    text = body_from(body)
    manager = manager_of(chosen if chosen.app else replace(chosen, app=event.partition(":")[0]))
    with sending(manager, timeout):
        return send(
            manager,
            screen_for_output(),
            kind,
            text,
            headers=headers_from(headers),
            key=key,
            delay=delay,
            ttl=ttl,
            id=event_id,
            timeout=timeout,
            as_json=as_json,
        )
