"""The arguments of ``manage.py events``."""

from __future__ import annotations

import argparse
from typing import Any, Callable, Optional

from aspyx_event.cli.actions.selection import Selection, since
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.manager import START_TIMEOUT


def add_actions(parser: argparse.ArgumentParser) -> None:
    """What the command can do, each as a parser of its own; ``action`` names it, ``errors`` what to do with errors."""
    parser.epilog = (
        "Exit codes: 0 done; 1 something was found, or failed; 2 wrong usage or settings; 3 the broker did not answer; "
        "70 a listener did not return."
    )
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)
    listen = actions.add_parser("listen", help="handle events until Ctrl-C or SIGTERM; running listeners finish then")
    listen.add_argument("--autoreload", action="store_true", help="for development: start anew when the code changes")
    _add_json(listen)
    _add_send(actions.add_parser("send", help="send an event, made from its JSON"))
    _add_json(actions.add_parser("describe", help="show which listeners there are, and which queues they read"))
    check = actions.add_parser("check", help="check that the broker has what events and listeners need; creates none")
    _add_timeout(check)
    _add_json(check)
    errors = actions.add_parser("errors", help="look after the events that failed for good, in the error queue")
    kinds = errors.add_subparsers(dest="errors", metavar="what", required=True)
    _add_selection(kinds.add_parser("list", help="list them, oldest first"), all_there="")
    _add_selection(kinds.add_parser("show", help="show everything about some of them"), ids="+", all_there="")
    _add_selection(kinds.add_parser("replay", help="send them back to the listeners they failed in"), ids="*")
    discard = kinds.add_parser("discard", help="remove them for good, after a question")
    _add_selection(discard, ids="*")
    discard.add_argument("--yes", action="store_true", help="do not ask")


def selection_of(*, ids: Any = (), listener: Any, type: Any, since: Any, limit: Any, **_rest: Any) -> Selection:
    """The dead letters that the arguments mean."""
    return Selection(tuple(ids), listener, type, since, limit)


def _add_send(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("event", help="the event's name, as 'describe' shows it")
    parser.add_argument("body", metavar="json", help="its fields as a JSON object; - reads them from stdin")
    parser.add_argument(
        "--header", action="append", default=[], metavar="NAME=VALUE", help="may be given several times"
    )
    parser.add_argument("--key", help="events of one key are handled one after the other")
    parser.add_argument("--delay", type=float, metavar="SECONDS", help="before it may be handled")
    parser.add_argument("--ttl", type=float, metavar="SECONDS", help="after which it must not be handled")
    parser.add_argument("--id", help="its id; by default a new one")
    _add_timeout(parser)
    _add_json(parser)


def _add_selection(parser: argparse.ArgumentParser, *, ids: str = "", all_there: str = "--all") -> None:
    if ids:
        parser.add_argument("ids", nargs=ids, metavar="id", help="of the events")
    parser.add_argument("--listener", metavar="NAME", help="those that failed in this listener")
    parser.add_argument("--type", metavar="EVENT", help="those of this event")
    parser.add_argument(
        "--since", type=_reading(since), metavar="TIME", help="since 30m, 12h or 7d, or 2026-03-01T12:00"
    )
    parser.add_argument("--limit", type=_reading(_count), metavar="N", help="the oldest N of them")
    if all_there:
        parser.add_argument(all_there, action="store_true", dest="everything", help="all there are")
    _add_timeout(parser)
    _add_json(parser)


def _add_timeout(parser: argparse.ArgumentParser) -> None:
    help = "for the broker (default: %(default)g)"
    parser.add_argument("--timeout", type=_reading(_seconds), default=START_TIMEOUT, metavar="SECONDS", help=help)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", dest="as_json", help="for scripts")


def _reading(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader of argparse: its complaints are the usage errors of the command."""

    def checked(text: str) -> Any:
        try:
            return read(text)
        except (ConfigurationError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def _count(text: str) -> Optional[int]:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{text!r} is no number of seconds")
    return seconds
