"""What a bus is made of: queues, the messages in them, and who reads them.

Guarded by the lock of their bus, but for two steps that any thread may take without it, because each is one operation
of the interpreter: ``Queue.messages.append``, and ``Consumer.held.pop``.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any, Callable, Optional

from aspyx_event.timing import Timer


@dataclass(eq=False)  # by identity: equal ones may lie in one queue
class Message:
    """What lies in a queue."""

    body: bytes
    headers: dict[str, str]
    content_type: Optional[str]
    durable: bool
    native_id: str
    expires_at: Optional[float] = None
    number: int = 0
    """Its place among the others: given by the bus."""


class Held:
    """A message that was taken from its queue for a consumer, until it is settled."""

    __slots__ = ("consumer", "message", "queue")

    def __init__(self, queue: Queue, consumer: Consumer, message: Message) -> None:
        self.queue = queue
        self.consumer = consumer
        self.message = message


class Consumer:
    """One reader of a queue. ``handing`` is held while its callback runs, so that closing can wait for that.

    hold: makes a ``Held`` of a message; a class of the reader's own.
    """

    def __init__(
        self, queue: Queue, receive: Callable[[Any], None], credit: int, *, hold: Callable[..., Held] = Held
    ) -> None:
        self.queue = queue
        self.receive = receive
        self.hold = hold
        self.credit = credit
        self.held: dict[Held, None] = {}
        self.paused = False
        self.open = True
        self.handing = threading.RLock()

    @property
    def ready(self) -> bool:
        """Whether it takes another message now."""
        return self.open and not self.paused and len(self.held) < self.credit


class Queue:
    """A queue; ``linger`` says how many seconds it stays without a consumer, None for ever."""

    def __init__(self, name: str, linger: Optional[float]) -> None:
        self.name = name
        self.linger = linger
        self.messages: deque[Message] = deque()
        self.consumers: deque[Consumer] = deque()
        self.reaper: Optional[Timer] = None
        self.full = False
        """Whether no consumer takes anything now. Whoever may have changed that says so, and looks at ``messages``."""
        self.pumper: Optional[int] = None
        """The thread that hands messages over."""
        self.under_way: Optional[Held] = None
        """What it hands over."""

    def next_consumer(self) -> Consumer | None:
        """The next in turn that is ready."""
        if len(self.consumers) == 1:  # nearly always, and asked for each message
            consumer = self.consumers[0]
            return consumer if consumer.ready else None
        for _ in range(len(self.consumers)):
            consumer = self.consumers[0]
            self.consumers.rotate(-1)
            if consumer.ready:
                return consumer
        return None

    def put_back(self, message: Message) -> None:
        """Before what came after it, which is nearly always at the head."""
        place = 0
        if self.messages and self.messages[0].number < message.number:
            waiting = list(self.messages)  # at once: meanwhile others append
            place = next((at for at, other in enumerate(waiting) if other.number >= message.number), len(waiting))
        if place < len(self.messages) and self.messages[place] is message:
            return  # the removal was interrupted
        self.messages.insert(place, message)
