"""Calls for threads: who was asked to come, and has not come yet."""

from __future__ import annotations


class Call:
    """A call for somebody. Who comes says so, under the lock of what they come to.

    A call is made first and noted afterwards: an interruption in between (Ctrl-C in a thread that sends) then brings
    somebody too many, who finds nothing to do. The other way round nobody would ever come again.
    """

    __slots__ = ("answered",)

    def __init__(self) -> None:
        self.answered = False


def pending(call: Call | None) -> bool:
    """Whether there is a call that nobody has answered yet."""
    return call is not None and not call.answered
