"""One message out of a plain queue."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from aspyx_event.envelope import Envelope
from aspyx_event.provider import Confirmation, Delivery
from aspyx_event.providers.stomp.dialects import Dialect
from aspyx_event.providers.stomp.link import Message
from aspyx_event.providers.stomp.publisher import Publisher
from aspyx_event.providers.stomp.session import Session, Sessions
from aspyx_event.timing import Deadline

_PATIENCE, _PATIENCE_WHERE_IT_IS = 2.0, 5.0
_SCAN_AHEAD = 1000
_GOODBYE = 5.0


class TakenDelivery(Delivery):
    """A message with a connection of its own, which ends with the settlement: so everything else goes back."""

    def __init__(self, session: Session, message: Message, *, dialect: Dialect, publisher: Publisher) -> None:
        self._session = session
        self._headers, self._body = message
        self._dialect = dialect
        self._publisher = publisher
        self._lock = threading.Lock()
        self._settled = False

    @property
    def alive(self) -> bool:
        """See Delivery."""
        return not self._settled and self._session.link.alive

    def read(self) -> Envelope:
        """See Delivery."""
        return self._dialect.read(self._headers, self._body)

    def accept(self) -> None:
        """See Delivery. Waits for the broker, a few seconds at most."""
        self._settle(accept=True)

    def release(self) -> None:
        """See Delivery. Waits for the broker, a few seconds at most."""
        self._settle(accept=False)

    def forward(self, destination: str, headers: Mapping[str, str], *, delay: float = 0) -> Confirmation[None]:
        """See Delivery."""
        return self._publisher.send(self._dialect.copy(self._headers, self._body, destination, headers, delay=delay))

    def _settle(self, *, accept: bool) -> None:
        with self._lock:
            if self._settled:
                return
            self._settled = True
            if accept:
                self._session.link.acknowledge(self._dialect.ack_id(self._headers))
            self._session.link.close(Deadline(_GOODBYE))


def take(
    sessions: Sessions, dialect: Dialect, publisher: Publisher, queue: str, event_id: str, deadline: Deadline
) -> Delivery | None:
    """The first message with this id; None: there is none. Raises ProviderErrors.

    Where brokers cannot select, everything before it is taken too, and goes back when it is settled.
    """
    selector = dialect.take_selector(event_id)
    held = dialect.holds(sessions, queue, event_id, deadline) if selector else None
    if held is False:
        return None
    patience = _PATIENCE_WHERE_IT_IS if held else _PATIENCE
    source = dialect.source(queue)
    flow = dialect.flow(1 if selector else _SCAN_AHEAD)
    session = sessions.open(deadline)
    taken = None
    try:
        session.subscribe(source.destination, {**source.headers, **selector, **flow})
        message = session.next(patience)
        while message is not None:
            if dialect.read(*message).id == event_id:
                taken = TakenDelivery(session, message, dialect=dialect, publisher=publisher)
                return taken
            message = session.next(patience)
        return None
    finally:
        if taken is None:
            session.link.close(Deadline(_GOODBYE))
