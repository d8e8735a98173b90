"""``aspyx-event`` with all its commands."""

from __future__ import annotations

import click

from aspyx_event import __version__
from aspyx_event.cli.describe import describe_command
from aspyx_event.cli.errors import errors
from aspyx_event.cli.listen import listen_command
from aspyx_event.cli.send import send_command
from aspyx_event.cli.topology import topology


@click.group("aspyx-event", invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="aspyx-event")
@click.pass_context
def commands(context: click.Context) -> None:
    """Typed events for synchronous Python.

    Exit codes of all commands: 0 done; 1 something was found, or failed; 2 wrong usage; 3 the broker did not answer;
    70 a listener did not return; 130 interrupted.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@commands.command()
@click.option("--plain", is_flag=True, help="Text without colours, as it is without rich.")
def demo(plain: bool) -> int:
    """Send events through the embedded provider and show what becomes of them; no broker needed."""
    from aspyx_event.cli.demo import run
    from aspyx_event.cli.screen import screen

    return run(screen(plain=plain))


for command in (listen_command, send_command, describe_command, errors, topology):
    commands.add_command(command)
