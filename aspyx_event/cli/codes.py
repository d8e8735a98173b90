"""The exit codes, the same in all commands, and the one that belongs to an error."""

from __future__ import annotations

from aspyx_event.exceptions import CodecError, ConfigurationError, EventError, SendRejected

OK = 0
"""Done."""
FOUND = 1
"""Something was found that is not as it should be, or part of it failed."""
WRONG = 2
"""Wrong usage, settings, declarations or data; nothing was done."""
NO_ANSWER = 3
"""The broker could not be reached, or did not answer."""
INTERRUPTED = 130
"""Ctrl-C, in a command that was not told to wait for it."""


def code_of(error: EventError) -> int:
    """The exit code of a command that ended with this error."""
    if isinstance(error, (ConfigurationError, CodecError)):
        return WRONG
    return FOUND if isinstance(error, SendRejected) else NO_ANSWER
