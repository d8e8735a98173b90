"""Order per key: of the events with one key, one is handled at a time."""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from typing import Optional

from aspyx_event.delivery.redelivery import Verdict
from aspyx_event.envelope import Envelope
from aspyx_event.provider import Delivery

logger = logging.getLogger(__name__)


class Item:
    """A delivery with its envelope, on its way through a worker."""

    # What most deliveries never change stands in the class: one of these is made for each delivery.
    failures: int = 0
    started_at: float = 0.0
    thread: Optional[threading.Thread] = None
    warned: bool = False
    judged: Optional[Verdict] = None
    """What follows from the latest failed attempt; None when the latest one has not failed."""
    pending: Optional[Verdict] = None
    """What is decided and could not be carried out yet: only the settlement is left to do."""
    error: Optional[BaseException] = None
    tried: bool = False
    """Whether an attempt has had the envelope, and may have changed it."""

    def __init__(self, delivery: Delivery, envelope: Envelope) -> None:
        self.delivery = delivery
        self.envelope = envelope
        self.key = envelope.key
        self.attempt = envelope.attempt

    def renew(self) -> Envelope:
        """The envelope as it came, whatever an attempt did to it. Read again only after one: most succeed at once."""
        if self.tried:
            envelope = opened(self.delivery)
            envelope.native_id = self.envelope.native_id  # where there was none, one was made up
            self.envelope, self.tried = envelope, False
        return self.envelope

    def __repr__(self) -> str:
        return f"<Item {self.envelope!r} failures={self.failures}>"


def opened(delivery: Delivery) -> Envelope:
    """The delivery's envelope. A provider that breaks its promise makes a message unreadable, not a loss."""
    try:
        envelope = delivery.read()
    except Exception as error:
        logger.exception("a delivery could not be read")
        envelope = Envelope(unreadable=f"the provider failed with {type(error).__name__}")
    if not envelope.id:  # a foreign STOMP client's message may reach AMQP without any: logs and replay need one
        envelope.native_id = str(uuid.uuid4())
    return envelope


class Lanes:
    """The keys that are being handled, and the items that wait behind them. Not thread-safe."""

    __slots__ = ("_waiting", "parked")

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Item]] = {}
        self.parked = 0
        """How many items wait behind others."""

    def admit(self, item: Item) -> bool:
        """True: start it. False: it waits behind an earlier one of its key."""
        key = item.key
        if key is None:
            return True
        lane = self._waiting.get(key)
        if lane is None:
            self._waiting[key] = deque()
            return True
        lane.append(item)
        self.parked += 1
        return False

    def leave(self, item: Item) -> Item | None:
        """The item is done; the next of its key, which may start now."""
        key = item.key
        if key is None or key not in self._waiting:
            return None
        lane = self._waiting[key]
        if lane:
            self.parked -= 1
            return lane.popleft()
        del self._waiting[key]
        return None

    def clear(self) -> list[Item]:
        """All that waits, in order of its key; nothing waits any more."""
        items = [item for lane in self._waiting.values() for item in lane]
        for lane in self._waiting.values():
            lane.clear()
        self.parked = 0
        return items
