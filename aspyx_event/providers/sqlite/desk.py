"""What senders, deliveries and subscriptions ask of the engine."""

from __future__ import annotations

import time
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Callable, Optional

from aspyx_event.exceptions import ProviderUnavailable, SendRejected
from aspyx_event.provider import Confirmation
from aspyx_event.providers.network.futures import awaited
from aspyx_event.providers.sqlite.engine import Engine
from aspyx_event.providers.sqlite.reception import Consumer, Reception, Session
from aspyx_event.providers.sqlite.tables import Entry, Message
from aspyx_event.providers.sqlite.work import Task, Transaction
from aspyx_event.timing import Deadline


class Desk:
    """Thread-safe; nothing but ``do`` waits."""

    def __init__(self, engine: Engine, reception: Reception) -> None:
        self.engine = engine
        self.reception = reception

    def do(self, task: Task, timeout: float) -> Any:
        """Have it done, and wait for it. Raises ProviderUnavailable when that takes too long."""
        deadline = Deadline(timeout)
        self.engine.post(task)
        try:
            return awaited(task.future, deadline.left())
        except FutureTimeout as error:
            task.future.cancel()
            raise ProviderUnavailable(
                f"sqlite: {self.engine.file.path!r} did not answer within {timeout:g} s: "
                f"{self.engine.trouble or 'the disk is slow, or much is waiting'}"
            ) from error

    def store(
        self, message: Message, due: Optional[float], target: Callable[[Transaction], list[int]], *, fresh: bool = True
    ) -> Confirmation[None]:
        """Put a message into the queues that ``target`` finds. ``fresh``: it is no copy of one that will go."""

        def work(transaction: Transaction) -> None:
            queues = target(transaction)
            if queues:
                transaction.tables.put(queues, message, due)
                transaction.filled.update(queues)

        size = len(message.body) + len(message.headers)
        task = Task(work, durable=bool(message.durable), stores=True, fresh=fresh, size=size)
        self.engine.post(task)
        return task.future

    def forward(self, message: Message, destination: str, delay: float) -> Confirmation[None]:
        """A message to one queue."""

        def target(transaction: Transaction) -> list[int]:
            queue = transaction.tables.queue(destination)
            if queue is None and "::" not in destination:
                queue = transaction.tables.declare(destination, None, transaction.now)
            if queue is None:
                raise SendRejected(f"sqlite: there is no queue {destination!r}: nobody declared it, or it is removed")
            return [queue]

        return self.store(message, time.time() + delay if delay > 0 else None, target, fresh=False)

    def settle(self, session: Session, consumer: Optional[Consumer], entry: Entry, *, back: bool) -> None:
        """An entry is done with, or goes ``back`` to its place."""

        def work(transaction: Transaction) -> None:
            if not back:
                transaction.tables.remove(entry.id, session.id)
            else:
                queue = transaction.tables.give_back(entry.id, session.id)
                transaction.filled.update(() if queue is None else (queue,))
            transaction.after.append(lambda: self.reception.settled(session, consumer))

        self.engine.post(Task(work))

    def look(self) -> None:
        """A consumer may have room."""
        self.engine.look()

    def detach(self, consumer: Consumer) -> None:
        """A consumer reads no more."""
        self.engine.post(Task(lambda transaction: self.reception.remove(transaction, consumer)))
