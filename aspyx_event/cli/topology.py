"""``topology check`` and ``topology export``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Optional
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import click

from aspyx_event.cli.application import registry_of
from aspyx_event.cli.codes import FOUND, OK
from aspyx_event.cli.config import Settings
from aspyx_event.cli.options import as_json, broker_options, timeout
from aspyx_event.delivery.topology import check as compare
from aspyx_event.delivery.topology import needs, started
from aspyx_event.exceptions import LifecycleError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Provider, Target
from aspyx_event.providers import provider_from_url
from aspyx_event.providers.brokers.artemis_export import artemis_xml
from aspyx_event.providers.brokers.rabbitmq_export import rabbitmq_definitions
from aspyx_event.registry import EventRegistry
from aspyx_event.topology import UNKNOWN, Difference, Topology

KINDS = ("artemis", "rabbitmq")


@click.group(no_args_is_help=True)
def topology() -> None:
    """What a broker has to hold for the events and listeners of a module.

    MODULE is the dotted name of a module or package; it is imported, and searched with all its sub-modules. It is what
    --app is.
    """


@topology.command()
@click.argument("module", metavar="[MODULE[:NAME]]", required=False)
@broker_options()
@as_json
@click.option("--allow-unknown", is_flag=True, help="Exit with 0 when nothing is known to be wrong.")
@timeout
def check(module: Optional[str], chosen: Settings, as_json: bool, allow_unknown: bool, timeout: float) -> int:
    """Compare a running broker with what MODULE needs. Creates nothing.

    Exit codes: 0 all there; 1 something is missing, differs, or could not be checked; 2 wrong usage; 3 the broker
    could not be asked.
    """
    app, url = _app(module, chosen), chosen.full_url
    registry, provider = registry_of(app), provider_from_url(url)
    differences = compare(provider, _targets(provider, registry, url), running=False, timeout=timeout)
    if as_json:
        click.echo(json.dumps([difference.to_dict() for difference in differences], indent=2))
    else:
        for difference in differences:
            click.echo(str(difference))
        click.echo(_count(differences))
    if all(difference.problem == UNKNOWN for difference in differences) and (allow_unknown or not differences):
        return OK
    return FOUND


@topology.command()
@click.argument("module", metavar="[MODULE[:NAME]]", required=False)
@broker_options()
@click.option("--broker", type=click.Choice(KINDS), help="Its kind; then no connection is made.")
@click.option("--format", "form", type=click.Choice(KINDS), help="Of the configuration; by default the broker's own.")
@click.option("--output", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="A file to write.")
@timeout
def export(
    module: Optional[str],
    chosen: Settings,
    broker: Optional[str],
    form: Optional[str],
    output: Optional[Path],
    timeout: float,
) -> int:
    """Write the broker's configuration for what MODULE needs: a piece of broker.xml for Artemis, definitions for
    RabbitMQ.

    A prefix or an error queue comes from the options of the URL; without a URL, there is none, and RabbitMQ's
    definitions are those for AMQP, which serve STOMP too.
    """
    app, kind = _app(module, chosen), broker or form
    if broker and form and broker != form:
        raise click.UsageError(f"--broker {broker} has no configuration of --format {form}")
    if not (chosen.url or kind):
        raise click.UsageError("which broker? Give --broker, or --url, or set ASPYX_EVENT_URL")
    registry = registry_of(app)
    full_url = _of_kind(replace(chosen, url=chosen.url or "amqp://localhost/").full_url, kind)
    provider = provider_from_url(full_url)
    text = _written(_topology(provider, _targets(provider, registry, full_url), timeout), full_url)
    if output is None:
        click.echo(text, nl=False)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"--output {output}: {error.strerror or error}") from error
    return OK


def _app(module: Optional[str], chosen: Settings) -> str:
    app = module or chosen.app
    if not app:
        raise click.UsageError("whose events? Give MODULE, set ASPYX_EVENT_APP, or write app= into aspyx_event.ini")
    return app


def _targets(provider: Provider, registry: EventRegistry, url: str) -> list[Target]:
    """All but the queues that are called after a process, which is not this one."""
    named = _options(url).get("server_name", "{pid}")
    found: list[Target] = []
    left_out: list[str] = []
    for target in needs(provider, registry):
        if isinstance(target, EventListenerDescriptor) and target.per_process and "{" in named:
            left_out.append(target.name)
        else:
            found.append(target)
    if left_out:
        click.echo(
            f"left out: {', '.join(left_out)} (per_process): each process has a queue of its own name. The user must "
            "be able to create them, or give a fixed server_name in the URL, once for each process",
            err=True,
        )
    return found


def _of_kind(url: str, kind: Optional[str]) -> str:
    """The URL with ``broker=``, unless it says so already."""
    if kind is None:
        return url
    known = _options(url).get("broker", kind)
    if known != kind:
        raise click.UsageError(f"the URL says broker={known}, and the command {kind}")
    if "broker" in _options(url):
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, f"broker={kind}")))))


def _options(url: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(urlsplit(url).query))
    except ValueError:
        return {}  # provider_from_url says what is wrong


def _topology(provider: Provider, targets: Sequence[Target], timeout: float) -> Topology:
    try:
        return provider.topology(targets)
    except LifecycleError:  # only a connection tells what kind of broker it is
        with started(provider, timeout):
            return provider.topology(targets)


def _written(found: Topology, url: str) -> str:
    if found.broker == "artemis":
        return artemis_xml(found)
    if found.broker == "rabbitmq":
        return rabbitmq_definitions(found, _options(url).get("virtual_host", "/").removeprefix("vhost:"))
    raise click.UsageError(
        f"{found.broker} has no configuration to export; 'aspyx-event topology check' lists what is needed"
    )


def _count(differences: Sequence[Difference]) -> str:
    if not differences:
        return "everything is there"
    return f"{len(differences)} difference{'s' if len(differences) > 1 else ''}"
