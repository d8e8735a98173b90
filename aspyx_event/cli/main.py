"""The entrance. The demo needs nothing beyond the core; all else needs click (the extra ``cli``)."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from aspyx_event.cli.codes import OK, WRONG

WITHOUT_CLICK = "'aspyx-event {}' needs click and rich: pip install aspyx-event[cli]\n"
_COMMANDS = ("listen", "send", "describe", "errors", "topology")


def entry() -> int:
    """The console script ``aspyx-event``."""
    return main(sys.argv[1:])


def main(arguments: Sequence[str]) -> int:
    """Run a command; its exit code, one of ``aspyx_event.cli.codes``."""
    if importlib.util.find_spec("click") is None:
        return _core(arguments)
    from aspyx_event.cli.group import commands
    from aspyx_event.cli.options import run

    name = "aspyx-event" if Path(sys.argv[0]).name == "aspyx-event" else "python -m aspyx_event"
    return run(commands, arguments, name)


def _core(arguments: Sequence[str]) -> int:
    """What there is without click."""
    command, options = (arguments[0], list(arguments[1:])) if arguments else ("--help", [])
    if command == "demo" and options in ([], ["--plain"]):
        from aspyx_event.cli.demo import run
        from aspyx_event.cli.screen import screen

        return run(screen(plain=bool(options)))
    if command in _COMMANDS:
        sys.stderr.write(WITHOUT_CLICK.format(command))
        return WRONG
    helped = command in ("-h", "--help")
    stream = sys.stdout if helped else sys.stderr
    stream.write(
        f"usage: python -m aspyx_event demo [--plain]\n{', '.join(_COMMANDS)}: with 'pip install aspyx-event[cli]'\n"
    )
    return OK if helped else WRONG
