"""What the engine does: tasks, in transactions, for an attendant that claims entries on the way."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Protocol

from aspyx_event.providers.network.futures import resolve
from aspyx_event.providers.sqlite.tables import Tables


@dataclass
class Transaction:
    """What runs in one: the tables, the session of this process if there is one, and the time."""

    tables: Tables
    now: float
    session: Optional[int] = None
    filled: set[int] = field(default_factory=set)
    """Queues that got something, or got it back."""
    after: list[Callable[[], None]] = field(default_factory=list)
    """Called once it is committed, on the engine's thread."""


@dataclass(eq=False)
class Task:
    """Work inside a transaction.

    durable: its commit waits for the disk. stores: it may be refused for want of room; fresh: also when the disk has
    too little left for handling what is in the file already. size: bytes that it writes. undo: called with the result
    when its waiter has given up meanwhile.
    """

    work: Callable[[Transaction], Any]
    future: Future[Any] = field(default_factory=Future)
    durable: bool = False
    stores: bool = False
    fresh: bool = False
    size: int = 0
    undo: Optional[Callable[[Any], None]] = None

    def finish(self, result: Any) -> None:
        """It is committed."""
        resolve(self.future, result)
        if self.undo is not None and self.future.cancelled():
            self.undo(result)


class Attendant(Protocol):
    """Who uses the transactions for sessions and claims. Everything is called on the engine's thread."""

    def wants(self, tables: Tables) -> bool:
        """Whether it needs a transaction although there is no task. Reads only."""
        ...

    def begin(self, transaction: Transaction) -> None:
        """First in every transaction."""

    def end(self, transaction: Transaction) -> None:
        """Last in every transaction."""

    def rolled_back(self) -> None:
        """The transaction that began last has failed."""

    def finish(self, transaction: Transaction) -> None:
        """In the last transaction."""

    def called(self) -> None:
        """Another process says that there may be something."""

    def lost(self) -> None:
        """The file is another one than before, or this is the end: nothing is held there any more."""

    def next_look(self) -> Optional[float]:
        """Seconds until it wants to be asked again; None: never."""
        ...
