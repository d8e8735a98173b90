"""One thread with one connection: whatever is to be done with the file is posted to it, and done in batches.

A batch is one transaction. Where somebody waits for a promise to be kept through a power cut, its commit waits for the
disk; all others do not. So hundreds of events share one wait, and settlements cost none.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Callable, Optional

from aspyx_event.exceptions import ConfigurationError, EventError, ProviderError, ProviderUnavailable, SendRejected
from aspyx_event.providers.network.futures import fail
from aspyx_event.providers.sqlite import forking
from aspyx_event.providers.sqlite.file import DatabaseFile
from aspyx_event.providers.sqlite.schema import (
    BUSY_TIMEOUT,
    Broken,
    Busy,
    Full,
    limit_size,
    trouble,
)
from aspyx_event.providers.sqlite.settings import SqliteSettings
from aspyx_event.providers.sqlite.tables import Tables
from aspyx_event.providers.sqlite.waking import Waker
from aspyx_event.providers.sqlite.work import Attendant, Task, Transaction
from aspyx_event.timing import Deadline

logger = logging.getLogger(__name__)

_BATCH = 256
_BATCH_BYTES = 8 * 1024 * 1024
PATIENCE = 5.0
"""Seconds for which another process may hold the file before that counts as a lost connection."""
_GAP = 0.02
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


class Engine:
    """The thread; ``post`` is thread-safe, and never blocks. ``changed`` hears of a lost file, and of its return."""

    def __init__(
        self,
        settings: SqliteSettings,
        attendant: Attendant,
        waker: Waker,
        changed: Callable[[Optional[ProviderError]], None],
    ) -> None:
        self._settings = settings
        self._attendant = attendant
        self._waker = waker
        self._changed = changed
        self._lock = threading.Lock()
        self._tasks: deque[Task] = deque()
        self._open = False
        self._ending: Optional[Deadline] = None
        self._interrupt = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"aspyx-sqlite-{os.path.basename(settings.path)}")
        self._thread.daemon = True
        self.pid = os.getpid()
        self.file = DatabaseFile(os.path.abspath(settings.path), attendant.lost)
        self._failures = 0
        self.trouble = ""
        """Why the last transaction failed; empty: it did not."""
        self._singly = 0
        self._blocked_since: Optional[float] = None
        self._down: Optional[ProviderError] = None

    # -- life ------------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether it runs, in this process, and can use the file."""
        return self._open and self._down is None and self.pid == os.getpid()

    def start(self, timeout: float) -> None:
        """Open the file, and begin. Raises ConfigurationError, or ProviderUnavailable within ``timeout`` seconds."""
        deadline = Deadline(timeout)
        pause = threading.Event()
        while True:
            try:
                with self.file.lock:
                    self.file.connect(min(BUSY_TIMEOUT, deadline.left() or 0.0))
                break
            except (Busy, Full, Broken) as error:
                if deadline.passed or isinstance(error, (Full, Broken)):
                    raise ProviderUnavailable(f"sqlite: {self.file.path!r} could not be opened: {error}") from error
                pause.wait(0.02)
        forking.watch(self)
        self._open = True
        self._thread.start()

    def stop(self, timeout: Optional[float]) -> None:
        """Do what is posted, then end. What cannot be done in time fails."""
        if self.pid != os.getpid():
            return
        with self._lock:
            if self._ending is None:
                self._ending = Deadline(timeout)
        self._interrupt.set()
        self._waker.wake()
        if self._thread is not threading.current_thread():
            self._thread.join(None if timeout is None else timeout + BUSY_TIMEOUT)

    def post(self, task: Task) -> None:
        """Have it done, after what was posted before; its future tells when."""
        if self.pid != os.getpid():
            fail(task.future, ProviderUnavailable(f"sqlite: the provider was started in process {self.pid}, a parent"))
            return
        with self._lock:
            if self._open:
                self._tasks.append(task)
            else:
                fail(task.future, ProviderUnavailable("sqlite: the provider was stopped"))
        self._waker.wake()

    def look(self) -> None:
        """Ask the attendant whether it wants something."""
        if self.pid == os.getpid():
            self._waker.wake()

    # -- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._ended():
                if self._waker.wait(self._patience()):
                    self._attendant.called()
                self._turn()
        finally:
            self._close()

    def _ended(self) -> bool:
        """Whether it is over; then the last transaction was tried."""
        with self._lock:
            ending, left = self._ending, len(self._tasks)
        if ending is None or (left and not ending.passed):
            return False
        last = Task(self._attendant.finish)
        while not last.future.done():
            self._attempt([last])
            if ending.passed and not last.future.done():
                logger.warning("sqlite: %r was not left in order; others wait for the end of its lease", self.file.path)
                break
        return True

    def _patience(self) -> Optional[float]:
        with self._lock:
            if self._tasks or self._ending is not None:
                return 0.0
        return self._attendant.next_look()

    def _turn(self) -> None:
        batch = self._batch()
        left = self._attempt(batch)
        if left:
            with self._lock:
                self._tasks.extendleft(reversed(left))

    def _batch(self) -> list[Task]:
        found: list[Task] = []
        size = 0
        most = 1 if self._singly else _BATCH
        with self._lock:
            while self._tasks and len(found) < most and size < _BATCH_BYTES:
                task = self._tasks.popleft()
                if not task.future.cancelled():  # nobody waits for it any more
                    found.append(task)
                    size += task.size
        return found

    def _attempt(self, batch: list[Task]) -> list[Task]:
        """Do a batch; what has to be tried again comes back."""
        try:
            with self.file.lock:
                transaction = self._transact(batch)
        except _Unfit as unfit:
            fail(unfit.task.future, ProviderError(f"sqlite: {type(unfit.error).__name__}: {unfit.error}"))
            return [task for task in batch if task is not unfit.task]
        except Full as error:
            return self._no_room(batch, error)
        except (Busy, Broken, ConfigurationError) as error:
            self._lost(error)
            return batch
        except Exception:  # a mistake of ours must not silence the provider: it shows, and is tried again
            logger.exception("sqlite: a transaction failed")
            self._lost(Broken("see the log"))
            return batch
        self._singly = max(0, self._singly - len(batch))
        self._found()
        for call in transaction.after if transaction else ():
            try:
                call()
            except Exception:
                logger.exception("sqlite: after a transaction, something failed")
        return []

    def _transact(self, batch: Sequence[Task]) -> Optional[Transaction]:
        try:
            connection = self.file.connect(BUSY_TIMEOUT)
            tables = Tables(connection)
            if not batch and not self._attendant.wants(tables):
                return None
            connection.execute(f"PRAGMA synchronous = {'FULL' if any(t.durable for t in batch) else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                transaction = Transaction(tables, time.time())
                self._attendant.begin(transaction)
                self._work(connection, transaction, batch)
                self._attendant.end(transaction)
                ports = tables.ports(transaction.filled, transaction.session)
                connection.execute("COMMIT")
            except BaseException:
                self._attendant.rolled_back()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise trouble(error) from error
        transaction.after.insert(0, lambda: self._waker.call(ports))
        return transaction

    def _work(self, connection: sqlite3.Connection, transaction: Transaction, batch: Sequence[Task]) -> None:
        free = self.file.free + transaction.tables.unused if any(task.fresh for task in batch) else 0
        limited = self._settings.max_size is not None and any(task.stores for task in batch)
        if limited:  # reading and settling need a little room, too, and have to go on
            limit_size(connection, self._settings.max_size)
        try:
            for task in batch:
                free -= 2 * task.size  # in the journal, and later in the file
                if task.fresh and free < self._settings.min_free:
                    self._refuse(task, transaction)
                else:
                    self._do(task, transaction)
        finally:
            if limited:
                limit_size(connection, None)

    def _refuse(self, task: Task, transaction: Transaction) -> None:
        """A disk that is full to the last byte lets nobody handle what is in the file: that needs room, too."""
        error = SendRejected(
            f"sqlite: the disk of {self.file.path!r} is nearly full, and min_free={self._settings.min_free} bytes "
            "are kept for handling what is there: make room, or wait until events are handled"
        )
        transaction.after.append(lambda: fail(task.future, error))

    @staticmethod
    def _do(task: Task, transaction: Transaction) -> None:
        if task.future.cancelled():  # while the file was locked
            return
        try:
            result = task.work(transaction)
        except EventError as refusal:  # raised before anything was changed
            error = refusal
            transaction.after.append(lambda: fail(task.future, error))
        except (sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError) as error:
            raise _Unfit(task, error) from error
        except sqlite3.Error:
            raise
        except Exception as error:
            raise _Unfit(task, error) from error
        else:
            transaction.after.append(lambda: task.finish(result))

    # -- trouble ---------------------------------------------------------------------------------------------------

    def _no_room(self, batch: list[Task], error: Full) -> list[Task]:
        if len(batch) > 1:
            self._singly = len(batch)  # which of them has no room shows when they come one by one
            return batch
        for task in batch:
            if task.stores:
                text = f"sqlite: there is no room for it in {self.file.path!r}: {error}"
                fail(task.future, SendRejected(text))
                return []
        self._lost(error)
        return batch

    def _lost(self, error: Exception) -> None:
        now = time.monotonic()
        if self._blocked_since is None:
            self._blocked_since = now
        self._failures += 1
        self.trouble = str(error)
        if not isinstance(error, (Busy, Full)):
            self._disconnect()
        if self._down is None and (not isinstance(error, Busy) or now - self._blocked_since >= PATIENCE):
            self._down = ProviderUnavailable(f"sqlite: {self.file.path!r} cannot be used: {error}")
            self._changed(self._down)
        with self._lock:
            self._tasks = deque(task for task in self._tasks if not task.future.cancelled())
            hurry = self._ending is not None
        if hurry:
            threading.Event().wait(_GAP)
        elif isinstance(error, Busy):  # it has waited already, with the lock that a fork waits for
            self._interrupt.wait(_GAP)
        else:
            self._interrupt.wait(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures, 10)))

    def _found(self) -> None:
        self._failures = 0
        self._blocked_since = None
        self.trouble = ""
        if self._down is not None:
            self._down = None
            self._changed(None)

    def _disconnect(self) -> None:
        with self.file.lock:
            self.file.disconnect()

    def inherited(self) -> None:
        """In a child, after a fork: nothing here works, and nothing is to be used. The parent goes on."""
        self._open = False
        self._waker.abandon()

    def _close(self) -> None:
        with self._lock:
            self._open = False
            left, self._tasks = list(self._tasks), deque()
        self._disconnect()
        self._waker.close()
        self._attendant.lost()
        for task in left:
            fail(task.future, ProviderUnavailable("sqlite: the provider was stopped"))


class _Unfit(Exception):
    """One task of a batch cannot be done, whatever the others are."""

    def __init__(self, task: Task, error: Exception) -> None:
        super().__init__(str(error))
        self.task = task
        self.error = error
