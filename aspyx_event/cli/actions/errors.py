"""``errors list``, ``show``, ``replay`` and ``discard``, on a manager that runs (``start(listen=False)`` is enough)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Callable, Optional

from aspyx_event.cli.actions.selection import Selection
from aspyx_event.cli.codes import FOUND, OK
from aspyx_event.cli.screen import Screen
from aspyx_event.delivery.dead_letters import DeadLetter
from aspyx_event.exceptions import ConfigurationError, EventError
from aspyx_event.manager import EventManager

_CELL = 60
_IN_LISTS = ("id", "event", "listener", "queue", "reason", "error_type", "error_message", "time", "attempts")

Confirm = Callable[[str], bool]
"""Asks a question; whether the answer was yes."""


def list_errors(manager: EventManager, screen: Screen, selection: Selection, *, as_json: bool = False) -> int:
    """A table of the dead letters that are meant, oldest first; or a JSON array. 0, however many there are."""
    letters = selection.of(manager.dead_letters())
    if as_json:
        screen.json([{key: value for key, value in asdict(letter).items() if key in _IN_LISTS} for letter in letters])
        return OK
    if letters:
        headings = ("id", "time", "event", "listener", "attempts", "reason", "error")
        screen.table("", headings, [_row(letter) for letter in letters])
    screen.text(_count(len(letters), "in the error queue"))
    return OK


def show_errors(manager: EventManager, screen: Screen, selection: Selection, *, as_json: bool = False) -> int:
    """Everything about some dead letters, headers, stack and body included. 1 when an id is not there."""
    letters = selection.of(manager.dead_letters())
    if as_json:
        screen.json([_whole(letter) for letter in letters])
    else:
        for letter in letters:
            _show(screen, letter)
    return _unless_missing(screen, selection, letters)


def replay_errors(manager: EventManager, screen: Screen, selection: Selection, *, as_json: bool = False) -> int:
    """Send dead letters back to the listeners they failed in. 1 when an id is not there, or one could not be sent.

    Each goes by itself: one that may not go back stays where it is, and the others go on. A broker that no longer
    answers ends it: what was done is shown, and its ProviderError raised.
    """
    letters = selection.of(manager.dead_letters())
    return _each(screen, "replayed", selection, letters, manager.replay, as_json=as_json)


def discard_errors(
    manager: EventManager, screen: Screen, selection: Selection, *, confirm: Confirm, as_json: bool = False
) -> int:
    """Remove dead letters for good, once ``confirm`` has said yes to their number. 1 when it said no, or as above."""
    letters = selection.of(manager.dead_letters())
    if letters and not confirm(f"Remove {_count(len(letters), 'from the error queue')} for good?"):
        screen.note("nothing was removed")
        return FOUND
    return _each(screen, "discarded", selection, letters, manager.discard, as_json=as_json)


def _each(
    screen: Screen,
    done: str,
    selection: Selection,
    letters: Sequence[DeadLetter],
    act: Callable[..., None],
    *,
    as_json: bool,
) -> int:
    succeeded: list[DeadLetter] = []
    failed: list[tuple[DeadLetter, str]] = []
    broken: Optional[EventError] = None
    with screen.progress(done, len(letters)) as step:
        for letter in letters:
            try:
                act(letter.id, listener=letter.listener)
                succeeded.append(letter)
            except ConfigurationError as error:  # somebody else took it, or no listener here reads its queue
                failed.append((letter, str(error)))
            except EventError as error:  # the broker: the others would only wait for it as well
                broken = error
                break
            step()
    if as_json:
        screen.json(
            {
                done: [_named(letter) for letter in succeeded],
                "failed": [{**_named(letter), "error": why} for letter, why in failed],
                "missing": selection.missing(letters),
            }
        )
    else:
        for _, why in failed:
            screen.note(f"Error: {why}")
        screen.text(_count(len(succeeded), done))
    if broken is not None:
        raise broken
    return max(FOUND if failed else OK, _unless_missing(screen, selection, letters))


def _unless_missing(screen: Screen, selection: Selection, letters: Sequence[DeadLetter]) -> int:
    missing = selection.missing(letters)
    for id in missing:
        screen.note(f"Error: no event with the id {_clean(id)} that is meant is in the error queue")
    return FOUND if missing else OK


def _count(number: int, what: str) -> str:
    return f"{number} event{'' if number == 1 else 's'} {what}"


def _named(letter: DeadLetter) -> dict[str, str]:
    return {"id": letter.id, "event": letter.event, "listener": letter.listener}


def _row(letter: DeadLetter) -> tuple[str, ...]:
    error = ": ".join(filter(None, (letter.error_type.rpartition(".")[2], letter.error_message.partition("\n")[0])))
    return (
        _clean(letter.id),  # whole: it is what the other commands want
        _clean(letter.time)[:19].replace("T", " "),
        *(_cut(cell) for cell in (letter.event, letter.listener)),
        str(letter.attempts or ""),
        *(_cut(cell) for cell in (letter.reason, error)),
    )


def _show(screen: Screen, letter: DeadLetter) -> None:
    fields = [
        ("id", letter.id),
        ("event", letter.event),
        ("listener", letter.listener),
        ("queue", letter.queue),
        ("time", letter.time),
        ("attempts", str(letter.attempts or "")),
        ("reason", letter.reason),
        ("error", f"{letter.error_type}: {letter.error_message}" if letter.error_type else ""),
        ("process", f"{letter.pid} on {letter.host}" if letter.pid or letter.host else ""),
        *(("header", f"{key}: {value}") for key, value in sorted(letter.headers.items())),
    ]
    for name, value in fields:
        if value:
            first, *others = (_clean(line) for line in value.splitlines() or [""])
            screen.text(f"{name:<9} {first}")
            for line in others:
                screen.text(f"{'':<9} {line}")
    for title, text in (("body", _body(letter)), ("stack", letter.error_stack)):
        if text:
            screen.text(f"{title}")
            for line in text.splitlines():
                screen.text(f"  {_clean(line)}")
    screen.text("")


def _body(letter: DeadLetter) -> str:
    try:
        return letter.body.decode()
    except UnicodeDecodeError:
        return f"{len(letter.body)} bytes that are no text; --json shows them in base64"


def _whole(letter: DeadLetter) -> dict[str, Any]:
    found = {**asdict(letter), "headers": dict(letter.headers)}
    try:
        found["body"] = letter.body.decode()
    except UnicodeDecodeError:
        found["body"] = None
        found["body_base64"] = base64.b64encode(letter.body).decode()
    return found


def _clean(text: str) -> str:
    """Anybody can write headers and bodies: nothing in them may steer a terminal."""
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)


def _cut(text: str) -> str:
    clean = _clean(text)
    return clean if len(clean) <= _CELL else f"{clean[: _CELL - 3]}..."
