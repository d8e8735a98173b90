"""Headers as STOMP sees them: an event's own, and those that mean something to STOMP or a broker.

RabbitMQ writes the headers of an AMQP message into the STOMP frame as they are: a user's header ``ack`` would take the
place of the frame's. So over either protocol such names travel with a prefix there.
"""

from __future__ import annotations

from typing import Callable, Generic, TypeVar

T = TypeVar("T")

HIDDEN = "ev_header_"
"""The prefix of a user's header whose name means something to STOMP, such as ``priority``."""
EXPIRES = "ev_expires"
"""Unix time in milliseconds, where a broker does not tell receivers when a message expires."""

# Headers of the frames, of the protocol and of the brokers: no sender's own. Brokers hand on those of the SEND frame.
_TRANSPORT_HEADERS = frozenset({
    "ack", "amqp-message-id", "browser", "content-encoding", "content-length", "content-type", "correlation-id",
    "destination", "destination-type", "expiration", "expires", "heart-beat", "host", "id", "login", "message",
    "message-id", "original-destination", "passcode", "persistent", "priority", "receipt", "receipt-id", "redelivered",
    "reply-to", "scheduledJobId", "selector", "server", "session", "subscription", "subscription-type", "timestamp",
    "transaction", "transformation", "transformation-error", "type", "user-id", "app-id", "cluster-id", "version",
})  # fmt: skip
_TRANSPORT_PREFIXES = (
    "_AMQ_", "JMS", "NATIVE_", "AMQ_", "__AMQ", "__HDR", "activemq.",
    "x-opt-", "x-death", "x-first-death", "x-last-death", "x-dead-letter-", "x-delivery-", "x-queue-", "x-message-ttl",
    "x-expires", "x-max-", "x-overflow", "x-stream-", "x-priority",
)  # fmt: skip


_LONGEST, _NAMES = 64, 1024


class _Judged(dict[str, T], Generic[T]):
    def __init__(self, judge: Callable[[str], T]) -> None:
        super().__init__()
        self._judge = judge

    def __missing__(self, key: str) -> T:
        found = self._judge(key)
        if len(key) <= _LONGEST:
            if len(self) >= _NAMES:
                self.clear()
            self[key] = found
        return found


def by_name(judge: Callable[[str], T]) -> Callable[[str], T]:
    """Remember what is said of a header's name: nearly all messages have the same ones.

    Long names are judged anew each time, and too many are forgotten: they come from others, who shall not fill our
    memory. The dictionary's own method answers, in a third of the time of a function around it.
    """
    return _Judged(judge).__getitem__


def transport_header(key: str) -> bool:
    """Whether a header of this name belongs to STOMP or a broker, not to the event."""
    return key in _TRANSPORT_HEADERS or key.startswith(_TRANSPORT_PREFIXES)


@by_name
def hidden(key: str) -> str:
    """The name under which a user's header travels."""
    return f"{HIDDEN}{key}" if transport_header(key) or key.startswith(HIDDEN) else key
