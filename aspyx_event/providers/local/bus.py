"""A message bus in memory: addresses, queues, competing consumers with credit, delays.

Callbacks run in the thread that caused them, in queue order: whoever finds a queue quiet hands over until nothing can
be handed over any more, on behalf of everybody. When Ctrl-C ends that in the middle, the message under way goes back to
its place, and the next one who comes goes on.

One lock guards it all, but for what happens to each event: a message is appended, and one that is done with leaves its
consumer, without it. A lock that two threads want for every event makes them wait every time, and that costs two
switches (``docs/decisions/18-nobody-waits-for-a-lock.rst``). Both rely upon the order of things that the interpreter's
lock gives: who changes something looks afterwards whether somebody has to know, and who stops says so before looking a
last time.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Callable, Optional

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.local.queues import Consumer, Held, Message, Queue
from aspyx_event.providers.naming import split_queue_name
from aspyx_event.timing import SYSTEM_CLOCK, Clock, Scheduler


class Bus:
    """The broker in memory. Thread-safe. Its thread lives only while it is in use."""

    def __init__(self, name: str = "", clock: Clock = SYSTEM_CLOCK) -> None:
        self.name = name
        self.clock = clock
        self._lock = threading.RLock()
        self._queues: dict[str, Queue] = {}
        self._by_event: dict[str, dict[str, Queue]] = {}
        self._routes: dict[str, tuple[Queue, ...]] = {}
        """The queues of each event; read without the lock."""
        self._delayed: list[tuple[float, int, str, Message]] = []
        self._order = itertools.count()
        self._users = 0
        self._scheduler: Optional[Scheduler] = None
        self._left: deque[Queue] = deque()
        """Where an interruption has left something to do."""

    # -- use

    def enter(self) -> None:
        """Somebody starts to use the bus."""
        with self._lock:
            self._users += 1
            if self._scheduler is None:
                self._scheduler = self.clock.scheduler(f"aspyx-local-{self.name or 'bus'}")
                for due, _, _, _ in self._delayed:
                    self._scheduler.call_later(max(0.0, due - self.clock.monotonic()), self._deliver_due)
                for queue in self._queues.values():
                    self._reap_later(queue)

    def leave(self) -> None:
        """Somebody is done with it; with the last one its thread ends, the messages stay."""
        with self._lock:
            self._users -= 1
            scheduler = None
            if self._users == 0:
                scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            scheduler.close()

    # -- queues

    def declare(self, name: str, linger: Optional[float] = None) -> Queue:
        """The queue of this canonical name. ConfigurationError when its own part of the name serves another event."""
        event, own = split_queue_name(name)
        with self._lock:
            queue = self._queues.get(name)
            if queue is not None:
                return queue
            owner = next((other for other, queues in self._by_event.items() if own in queues), None)
            if owner is not None:  # as on Artemis, where queue names are unique in the broker
                raise ConfigurationError(
                    f"queue {own!r} for event {event!r} already belongs to event {owner!r}: "
                    "give one of the two listeners another name"
                )
            queue = self._queues[name] = Queue(name, linger)
            if event:
                self._by_event.setdefault(event, {})[own] = queue
                self._routes[event] = tuple(self._by_event[event].values())
            return queue

    def consumers_of(self, name: str) -> int:
        """How many consumers a queue has."""
        with self._lock:
            return len(self._queues[name].consumers) if name in self._queues else 0

    def depth(self, name: str) -> int:
        """How many messages wait in a queue."""
        with self._lock:
            return len(self._queues[name].messages) if name in self._queues else 0

    @property
    def queues(self) -> tuple[str, ...]:
        """The names of all queues."""
        with self._lock:
            return tuple(self._queues)

    # -- sending

    def publish(self, event: str, message: Message, delay: float = 0) -> None:
        """A copy to every queue of an event; nobody's loss when there is none."""
        queues = self._routes.get(event, ())
        if delay > 0:
            with self._lock:
                for queue in queues:
                    self._put_later(queue.name, message, delay)
            return
        self._append(queues, message)

    def put(self, name: str, message: Message, delay: float = 0) -> None:
        """To one queue, at its end, now or later. A queue that is gone by then takes the message with it."""
        if delay > 0:
            with self._lock:
                self._put_later(name, message, delay)
            return
        queue = self._queues.get(name)
        if queue is not None:
            self._append((queue,), message)

    def _append(self, queues: Sequence[Queue], message: Message) -> None:
        message.number = next(self._order)
        try:
            for queue in queues:
                queue.messages.append(message)
            for queue in queues:
                if not queue.full:
                    self._pump(queue)
        except BaseException:  # Ctrl-C in a sender's thread: no queue must stand still
            self._left.extend(queues)
            raise
        if self._left:
            self._go_on()

    def _put_later(self, name: str, message: Message, delay: float) -> None:
        heapq.heappush(self._delayed, (self.clock.monotonic() + delay, next(self._order), name, message))
        if self._scheduler is not None:
            self._scheduler.call_later(delay, self._deliver_due)

    def _deliver_due(self) -> None:
        with self._lock:
            due = []
            while self._delayed and self._delayed[0][0] <= self.clock.monotonic():
                due.append(heapq.heappop(self._delayed)[2:])
        for name, message in due:
            self.put(name, replace(message))  # an own one for each queue: each gets its place now

    # -- receiving

    def consume(
        self, name: str, receive: Callable[[Any], None], credit: int, *, hold: Callable[..., Held] = Held
    ) -> Consumer:
        """Read a declared queue. ``receive`` is called with what ``hold`` makes."""
        with self._lock:
            queue = self._queues[name]
            if queue.reaper is not None:
                queue.reaper.cancel()
                queue.reaper = None
            consumer = Consumer(queue, receive, credit, hold=hold)
            queue.consumers.append(consumer)
            queue.full = False
        self._pump(queue)
        return consumer

    def close(self, consumer: Consumer) -> None:
        """No further messages for it: when this returns, its callback is not running and will not be called."""
        with consumer.handing, self._lock:
            consumer.open = False
            queue = consumer.queue
            if consumer in queue.consumers:
                queue.consumers.remove(consumer)
                self._reap_later(queue)

    def change(self, consumer: Consumer, *, credit: int | None = None, paused: bool | None = None) -> None:
        """Another credit, or a pause."""
        with self._lock:
            consumer.credit = consumer.credit if credit is None else credit
            consumer.paused = consumer.paused if paused is None else paused
            consumer.queue.full = False
        self._pump(consumer.queue)

    def settle(self, held: Held, *, back: bool) -> None:
        """A message is done with, or goes ``back`` to its place in its queue. Only the first time counts."""
        queue = held.queue
        if back:
            with self._lock:
                if held.consumer.held.pop(held, self) is self:
                    return
                queue.put_back(held.message)
        elif held.consumer.held.pop(held, self) is self:
            return
        queue.full = False  # before the look at what waits: who appends looks the other way round
        if queue.messages:
            self._pump(queue)

    def browse(self, name: str) -> Iterator[Message]:
        """What waits in a queue now."""
        with self._lock:
            return iter(list(self._queues[name].messages) if name in self._queues else [])

    def take(self, name: str, wanted: Callable[[Message], bool], consumer: Consumer) -> Any:
        """Remove the first message that is wanted, and answer what the consumer's ``hold`` makes of it: it must be
        settled. None: there is none."""
        with self._lock:
            queue = self._queues.get(name)
            message = next(filter(wanted, list(queue.messages)), None) if queue else None
            if queue is None or message is None:
                return None
            held = consumer.hold(queue, consumer, message)
            consumer.held[held] = None
            queue.messages.remove(message)
            return held

    def _pump(self, queue: Queue) -> None:
        """Hand over until nothing can be handed over any more, unless another thread is at it: that one looks again
        when it has stopped."""
        try:
            while queue.messages and not queue.full and queue.pumper is None:
                held = self._next(queue)
                if held is not None:
                    self._hand_over(held)
                    queue.under_way = None
                    queue.pumper = None
        except BaseException:  # Ctrl-C in a sender's thread: the queue must not stand still, nor the message be lost
            self._give_up(queue)
            raise

    def _next(self, queue: Queue) -> Held | None:
        """Take a message for the next consumer. This thread is the queue's pumper then."""
        with self._lock:
            if queue.pumper is not None or not queue.messages:
                return None
            consumer = queue.next_consumer() or self._room(queue)
            if consumer is None:
                return None
            queue.pumper = threading.get_ident()
            held = queue.under_way = consumer.hold(queue, consumer, queue.messages[0])
            consumer.held[held] = None
            queue.messages.popleft()
            if len(consumer.held) >= consumer.credit:
                self._room(queue)  # said at once, so that nobody tries in vain
            return held

    @staticmethod
    def _room(queue: Queue) -> Consumer | None:
        """Look once more for a consumer that takes something: one may have settled since, without the lock."""
        queue.full = True
        consumer = queue.next_consumer()
        if consumer is not None:
            queue.full = False
        return consumer

    def _hand_over(self, held: Held) -> None:
        consumer = held.consumer
        with consumer.handing:
            if consumer.open:
                consumer.receive(held)
                return
        self.settle(held, back=True)

    def _give_up(self, queue: Queue) -> None:
        """What was under way goes back. Where it had arrived by then, it is not the receiver's any more."""
        with self._lock:
            if queue.pumper == threading.get_ident():
                held, queue.under_way, queue.pumper = queue.under_way, None, None
                if held is not None and held.consumer.held.pop(held, self) is not self:
                    queue.put_back(held.message)
            queue.full = False
        self._left.append(queue)

    def _go_on(self) -> None:
        with contextlib.suppress(IndexError):  # others take from there, too
            while self._left:
                self._pump(self._left.popleft())

    def _reap_later(self, queue: Queue) -> None:
        if queue.linger is not None and not queue.consumers and self._scheduler is not None:
            queue.reaper = self._scheduler.call_later(queue.linger, lambda: self._reap(queue), daemon=True)

    def _reap(self, queue: Queue) -> None:
        with self._lock:
            if not queue.consumers and self._queues.get(queue.name) is queue:
                del self._queues[queue.name]
                event, own = split_queue_name(queue.name)
                if self._by_event.get(event, {}).pop(own, None) is not None:
                    self._routes[event] = tuple(self._by_event[event].values())


_shared: dict[str, Bus] = {}
"""Kept as long as the process lives, as the events in them are."""
_shared_lock = threading.Lock()


def shared_bus(name: str, clock: Clock = SYSTEM_CLOCK) -> Bus:
    """The bus of this name in this process, for ``local://name``. ConfigurationError when it has another clock."""
    with _shared_lock:
        bus = _shared.get(name)
        if bus is None:
            bus = _shared[name] = Bus(name, clock)
        if bus.clock is not clock:
            raise ConfigurationError(f"local://{name} is in use already, with another clock: give it another name")
        return bus
