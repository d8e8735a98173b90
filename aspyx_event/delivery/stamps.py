"""What every event gets that is sent: a new id and the time."""

from __future__ import annotations

import os
import time

_AT_ONCE = 256
_FORM = b"xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx\n"
_PLACES = [place for place, letter in enumerate(_FORM) if letter not in b"-\n"]
_VERSION = _FORM.index(b"4")
_VARIANT = _FORM.index(b"y")
_VARIANTS = bytes.maketrans(b"0123456789abcdef", 4 * b"89ab")
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
    digits = os.urandom(16 * _AT_ONCE).hex().encode()
    text = bytearray(_FORM * _AT_ONCE)
    for digit, place in enumerate(_PLACES):  # of all ids at once: a quarter of the time of one after the other
        if place != _VERSION:
            text[place :: len(_FORM)] = digits[digit::32]
    text[_VARIANT :: len(_FORM)] = text[_VARIANT :: len(_FORM)].translate(_VARIANTS)
    _ids.extend(text.decode().split())


if hasattr(os, "register_at_fork"):  # parent and child must not give the same ids
    os.register_at_fork(after_in_child=_ids.clear)


def time_text() -> str:
    """The time, as RFC 3339 in UTC with microseconds: ``2030-01-31T12:00:00.000001Z``. Thread-safe."""
    global _second  # noqa: PLW0603 - the text of a second is good for all events in it
    now = time.time_ns() // 1000
    second = now // 1_000_000
    known, text = _second
    if known != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _second = second, text
    return f"{text}.{str(now)[-6:]}Z"
