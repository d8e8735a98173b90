"""The commands. The demo needs nothing beyond the core, the others need click (the extra ``cli``)."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence


def entry() -> int:
    """The console script ``aspyx-event``."""
    return main(sys.argv[1:])


def main(arguments: Sequence[str]) -> int:
    """Run a command; its exit code. 2 for wrong arguments."""
    if arguments and arguments[0] == "topology":
        return _topology(arguments[1:])
    parser = argparse.ArgumentParser(prog="python -m aspyx_event", description="Typed events for synchronous Python.")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser(
        "demo", help="send events through the embedded provider and show what becomes of them; no broker needed"
    )
    demo.add_argument("--plain", action="store_true", help="text without colours, as it is without rich")
    commands.add_parser("topology", help="check what a broker holds, or export what it has to hold")
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    from aspyx_event.cli.demo import run
    from aspyx_event.cli.screen import screen

    return run(screen(plain=options.plain))


def _topology(arguments: Sequence[str]) -> int:
    if importlib.util.find_spec("click") is None:
        sys.stderr.write("'python -m aspyx_event topology' needs click: pip install aspyx-event[cli]\n")
        return 2
    from aspyx_event.cli.topology import run

    return run(arguments)
