"""Which session a link goes over. Belongs to the I/O thread, like the engine whose part it is."""

from __future__ import annotations

from collections import Counter
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

    def for_link(self, own: bool, *, outgoing: bool, links: Iterable[Link], allowed: int) -> tuple[Any, bool]:
        """A session, and whether it is the link's own. Raises ProviderError when all are full.

        allowed: the highest number that the broker lets a session have.
        """
        if own and self._idle:
            return self._idle.pop(), True
        used = Counter(id(link.session) for link in links)
        if own and sum(link.own_session for link in links) + _SPARE < allowed:
            return self._opened(), True
        if self._common is None:
            self._common = self._opened()
        if not own:
            return self._common, False
        return self._with_room(used, _LINKS[outgoing], allowed), False

    def _with_room(self, used: Counter[int], limit: int, allowed: int) -> Any:
        for session in (*self._shared, self._common):
            if used[id(session)] < limit:
                return session
        if len(used) > allowed or len(self._shared) >= _SPARE - 2:
            raise ProviderError(
                f"all {allowed + 1} sessions that the broker allows on a connection are full: use fewer listeners in "
                "one manager, or let the broker allow more (RabbitMQ: session_max_per_connection)"
            )
        self._shared.append(self._opened())
        return self._shared[-1]

    def _opened(self) -> Any:
        session = self._connection.session()
        session.open()
        return session

    def unused(self, session: Any) -> None:
        """The link whose own it was is gone.

        It is not closed: proton would use its channel again before the broker has answered, and RabbitMQ does not
        answer to such a beginning.
        """
        self._idle.append(session)

    def closed(self, session: Any) -> None:
        """The broker has closed it."""
        if self._common is not None and session == self._common:
            self._common = None
        self._shared = [other for other in self._shared if other != session]
        self._idle = [other for other in self._idle if other != session]

    def free(self) -> None:
        """Drop everything of proton."""
        self._common = self._connection = None
        self._shared, self._idle = [], []
