"""What every event gets that is sent: a new id and the time."""

from __future__ import annotations

import os
import time

_AT_ONCE = 256
_VARIANT = "89ab"
_ids: list[str] = []
_second: tuple[int, str] = (-1, "")


def new_id() -> str:
    """A new random UUID (RFC 4122, version 4) as text. Thread-safe; a forked child makes its own.

    Its random bytes are taken from the system for many ids at once. Each question to the system gives the GIL away, so
    that asking for every event stops a thread that sends many after each of them.
    """
    while True:
        try:
            return _ids.pop()
        except IndexError:
            _fetch()


def _fetch() -> None:
    data = os.urandom(16 * _AT_ONCE)
    text = data.hex()
    for number in range(_AT_ONCE):
        at = 32 * number
        variant = _VARIANT[data[16 * number + 8] & 3]
        _ids.append(
            f"{text[at : at + 8]}-{text[at + 8 : at + 12]}-4{text[at + 13 : at + 16]}"
            f"-{variant}{text[at + 17 : at + 20]}-{text[at + 20 : at + 32]}"
        )


if hasattr(os, "register_at_fork"):  # parent and child must not give the same ids
    os.register_at_fork(after_in_child=_ids.clear)


def time_text() -> str:
    """The time, as RFC 3339 in UTC with microseconds: ``2030-01-31T12:00:00.000001Z``. Thread-safe."""
    global _second  # noqa: PLW0603 - the text of a second is good for all events in it
    now = time.time()
    second = int(now)
    known, text = _second
    if known != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _second = second, text
    return f"{text}.{int((now - second) * 1e6):06d}Z"
