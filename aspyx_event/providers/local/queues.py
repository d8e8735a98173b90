"""What a bus is made of: queues, the messages in them, and who reads them. Guarded by the lock of their bus."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Callable, Optional

from aspyx_event.timing import Timer


@dataclass
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

    @property
    def unsettled(self) -> bool:
        """Whether the consumer still has it."""
        return self in self.consumer.held


class Consumer:
    """One reader of a queue. ``handing`` is held while its callback runs, so that closing can wait for that."""

    def __init__(self, queue: Queue, receive: Callable[[Held], None], credit: int) -> None:
        self.queue = queue
        self.receive = receive
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
        self.active = False
        """Whether the bus is going to look for a consumer."""

    def next_consumer(self) -> Consumer | None:
        """The next in turn that is ready."""
        for _ in range(len(self.consumers)):
            consumer = self.consumers[0]
            self.consumers.rotate(-1)
            if consumer.ready:
                return consumer
        return None

    def put_back(self, message: Message) -> None:
        """Before what came after it, which is nearly always at the head."""
        place = 0
        for other in self.messages:
            if other.number >= message.number:
                if other is message:
                    return  # the removal was interrupted
                break
            place += 1
        self.messages.insert(place, message)
