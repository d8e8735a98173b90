"""The commands: so far the demo. Needs nothing beyond the core."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run a command; its exit code. 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m aspyx_event", description="Typed events for synchronous Python.")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser(
        "demo", help="send events through the embedded provider and show what becomes of them; no broker needed"
    )
    demo.add_argument("--plain", action="store_true", help="text without colours, as it is without rich")
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    from aspyx_event.cli.demo import run
    from aspyx_event.cli.screen import screen

    return run(screen(plain=options.plain))
