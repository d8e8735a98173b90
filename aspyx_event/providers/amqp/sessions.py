"""Which session a link goes over. Belongs to the I/O thread, like the engine whose part it is."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from aspyx_event.exceptions import ProviderError
from aspyx_event.providers.amqp.links import Link

_SPARE = 8
"""Sessions that are kept for links that have to share one."""
_LINKS = {False: 200, True: 250}
"""How many share one, receiving and sending links. RabbitMQ allows 256 links on a session, and proton does not tell
what the peer allows: one link more ends the connection. Sending links are few, and find room where the others do not.
"""
_REST = 1.0
"""Seconds before the channel of a session that the broker has ended is used again."""


class Sessions:
    """The sessions of one connection.

    A link gets one of its own where that is wanted and the broker allows it (RabbitMQ: 64 sessions), because on some
    brokers a refused link ends its session. When there are no more, such links share the last ones.
    """

    def __init__(self, connection: Any) -> None:
        self._connection: Any = connection
        self._common: Any = None
        self._shared: list[Any] = []
        self._idle: list[Any] = []
        self._live = 0
        self._ended: deque[tuple[float, Any]] = deque()

    def for_link(self, own: bool, *, outgoing: bool, links: Iterable[Link], allowed: int) -> tuple[Any, bool]:
        """A session, and whether it is the link's own. Raises ProviderError when all are full.

        allowed: the highest number that the broker lets a session have.
        """
        if own and self._idle:
            return self._idle.pop(), True
        if own and sum(link.own_session for link in links) + _SPARE < allowed:
            return self._opened(allowed), True
        if self._common is None:
            self._common = self._opened(allowed)
        if not own:
            return self._common, False
        return self._with_room(links, _LINKS[outgoing], allowed), False

    def _with_room(self, links: Iterable[Link], limit: int, allowed: int) -> Any:
        used = Counter(id(link.session) for link in links)
        for session in (*self._shared, self._common):
            if used[id(session)] < limit:
                return session
        if len(used) > allowed or len(self._shared) >= _SPARE - 2:
            raise ProviderError(
                f"all {allowed + 1} sessions that the broker allows on a connection are full: use fewer listeners in "
                "one manager, or let the broker allow more (RabbitMQ: session_max_per_connection)"
            )
        self._shared.append(self._opened(allowed))
        return self._shared[-1]

    def _opened(self, allowed: int) -> Any:
        self.tidy()
        if self._live + len(self._ended) > allowed and self._ended:
            self._bury()
        session = self._connection.session()
        session.open()
        self._live += 1
        return session

    def unused(self, session: Any) -> None:
        """The link whose own it was is gone.

        It is not closed: proton would use its channel again before the broker has answered, and RabbitMQ does not
        answer to such a beginning.
        """
        self._idle.append(session)

    def ended(self, session: Any) -> None:
        """The broker has ended it. It is answered after a moment.

        With the answer proton gives the session's channel to the next one. RabbitMQ ignores what begins there while it
        buries the old one.
        """
        self._live -= 1
        self._ended.append((time.monotonic(), session))
        if self._common is not None and session == self._common:
            self._common = None
        self._shared = [other for other in self._shared if other != session]
        self._idle = [other for other in self._idle if other != session]

    def tidy(self) -> None:
        """Answer those whose moment is over."""
        while self._ended and self._ended[0][0] < time.monotonic() - _REST:
            self._bury()

    def _bury(self) -> None:
        session = self._ended.popleft()[1]
        session.close()
        session.free()

    def free(self) -> None:
        """Drop everything of proton."""
        self._common = self._connection = None
        self._shared, self._idle = [], []
        self._ended.clear()
