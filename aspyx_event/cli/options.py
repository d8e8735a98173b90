"""Options that commands share, and the way from an error to an exit code. The only part, with the commands, that knows
click."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Callable, Optional, TypeVar

import click

from aspyx_event.cli.actions.selection import Selection, since
from aspyx_event.cli.codes import FOUND, INTERRUPTED, code_of
from aspyx_event.cli.config import settings
from aspyx_event.exceptions import ConfigurationError, EventError
from aspyx_event.manager import START_TIMEOUT

C = TypeVar("C", bound=Callable[..., Any])

_BROKER = (
    ("url", "URL", "The broker, as for EventManager, without a password. [env: ASPYX_EVENT_URL]"),
    ("user", "NAME", "Its user; the password is in ASPYX_EVENT_PASSWORD, or in the file. [env: ASPYX_EVENT_USER]"),
    ("prefix", "TEXT", "Of the queues' names. [env: ASPYX_EVENT_PREFIX]"),
    ("server_name", "TEXT", "Of this process. [env: ASPYX_EVENT_SERVER_NAME]"),
)
_APP = click.option(
    "--app",
    metavar="MODULE[:NAME]",
    help="Events and listeners: all of a package, or a registry, a manager, or a function that makes one. "
    "[env: ASPYX_EVENT_APP]",
)
as_json = click.option("--json", "as_json", is_flag=True, help="For scripts.")
timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=START_TIMEOUT,
    show_default=True,
    help="Seconds for the broker.",
)


def broker_options(*, app: bool = True) -> Callable[[C], C]:
    """Give a command the options that say which broker, as one argument ``chosen``, a ``config.Settings``."""

    def decorate(command: C) -> C:
        @functools.wraps(command)
        def with_settings(*arguments: Any, config: Optional[str], log_level: str, **given: Any) -> Any:
            options = {name: given.pop(name) for name, _, _ in _BROKER}
            if app:
                options["app"] = given.pop("app")
            chosen = settings(options, file=config)
            if chosen.readable_by_others:
                click.echo(f"others can read {chosen.file}, and it has a password: chmod 600 {chosen.file}", err=True)
            _log(log_level)
            return command(*arguments, chosen=chosen, **given)

        decorated: Any = with_settings
        extras = [
            click.option("--config", metavar="FILE", help="Instead of ./aspyx_event.ini. [env: ASPYX_EVENT_CONFIG]"),
            click.option(
                "--log-level",
                type=click.Choice(["debug", "info", "warning", "error"]),
                default="warning",
                show_default=True,
                help="Of the log on stderr.",
            ),
        ]
        if app:
            extras.insert(0, _APP)
        own = [click.option(f"--{name.replace('_', '-')}", metavar=kind, help=text) for name, kind, text in _BROKER]
        for option in reversed([*own, *extras]):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate


def _since(context: click.Context, parameter: click.Parameter, value: Optional[str]) -> Optional[datetime]:
    try:
        return None if value is None else since(value)
    except ConfigurationError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def selecting(command: C) -> C:
    """Give a command the options that say which dead letters, as one argument ``selection``."""

    @functools.wraps(command)
    def with_selection(
        *arguments: Any,
        ids: Sequence[str] = (),
        listener: Optional[str],
        type: Optional[str],
        since: Optional[datetime],
        limit: Optional[int],
        **given: Any,
    ) -> Any:
        return command(*arguments, selection=Selection(tuple(ids), listener, type, since, limit), **given)

    decorated: Any = with_selection
    for option in reversed(
        [
            click.option("--listener", metavar="NAME", help="Those that failed in this listener."),
            click.option("--type", metavar="EVENT", help="Those of this event."),
            click.option("--since", callback=_since, metavar="TIME", help="Since 30m, 12h or 7d, or 2026-03-01T12:00."),
            click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The oldest N of them."),
        ]
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def run(command: click.Command, arguments: Sequence[str], name: str) -> int:
    """Run a command; its exit code. Errors are one line on stderr."""
    try:
        code = command.main(list(arguments), prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except EventError as error:
        click.echo(f"Error: {error}", err=True)
        return code_of(error)
    except BrokenPipeError:  # its reader has seen enough; Python would complain again at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FOUND
    return int(code or 0)


class _ToStderr(logging.Handler):
    """Writes to what stderr is at that moment: a live table stands in for it."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging."""
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 - as logging does
            self.handleError(record)


def _log(level: str) -> None:
    """Log to stderr, unless the application has made arrangements of its own."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = _ToStderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(level.upper())
