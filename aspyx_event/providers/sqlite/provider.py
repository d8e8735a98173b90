"""SqliteProvider: the seam over a file."""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Optional

from aspyx_event.envelope import CE_ID, Envelope
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import EventError, LifecycleError, ProviderError, ProviderUnavailable
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import (
    Capabilities,
    Confirmation,
    Delivery,
    OnDelivery,
    OnState,
    Provider,
    ProviderState,
    Subscription,
    Target,
)
from aspyx_event.providers.naming import DEFAULT_SERVER_NAME
from aspyx_event.providers.sqlite.delivery import SqliteDelivery, SqliteSubscription, read
from aspyx_event.providers.sqlite.desk import Desk
from aspyx_event.providers.sqlite.engine import Engine
from aspyx_event.providers.sqlite.filesystems import remote_filesystem
from aspyx_event.providers.sqlite.reception import Consumer, Reception, Session
from aspyx_event.providers.sqlite.settings import SqliteSettings, arguments_from_url
from aspyx_event.providers.sqlite.tables import Entry, Message
from aspyx_event.providers.sqlite.waking import Waker
from aspyx_event.providers.sqlite.work import Task, Transaction
from aspyx_event.topology import DEAD_LETTERS, MISSING, QUEUE, Difference, Resource, Topology, merged

logger = logging.getLogger(__name__)

AUTO_DELETE_AFTER = 60.0
PER_PROCESS_DELETE_AFTER = 3600.0
_PAGE = 50


class SqliteProvider(Provider):
    """Durable events between processes of one machine, in the SQLite file ``path``: no broker, nothing to install.

    The options are those of SqliteSettings; the URL is ``sqlite:///relative.db`` or ``sqlite:////absolute/path.db``.
    All processes that use the file share its queues. Never on a network file system. Thread-safe; one manager at a time
    uses an instance.

    Raises ConfigurationError for impossible options; what is wrong with the file is found by ``start()``.
    """

    capabilities = Capabilities()

    def __init__(
        self,
        path: str,
        *,
        server_name: str = DEFAULT_SERVER_NAME,
        prefix: str = "",
        error_queue: Optional[str] = None,
        poll: float = 1.0,
        max_size: Optional[int] = None,
        min_free: int = SqliteSettings.min_free,
    ) -> None:
        self._settings = SqliteSettings(path, server_name, prefix, error_queue, poll, max_size, min_free)
        self._naming = self._settings.naming
        self._on_state: OnState = lambda _state: None
        self._desk: Optional[Desk] = None
        self._findings: list[str] = []

    @classmethod
    def from_url(cls, url: str) -> SqliteProvider:
        """A provider from a ``sqlite://`` URL. Raises ConfigurationError."""
        return cls(**arguments_from_url(url))

    def __repr__(self) -> str:
        state = "connected" if self.connected else "not connected"
        return f"<SqliteProvider {self._settings.path} {state} server_name={self.server_name}>"

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def server_name(self) -> str:
        """See Provider."""
        return self._naming.server_name

    @property
    def error_queue(self) -> str:
        """See Provider."""
        return self._settings.error_queue or self._naming.error_queue

    @property
    def connected(self) -> bool:
        """See Provider: whether the file is open, in this process, and nobody keeps it locked."""
        return self._desk is not None and self._desk.engine.connected

    def queue_name(self, listener: EventListenerDescriptor) -> str:
        """See Provider."""
        return self._naming.queue_name(listener)

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self, on_state: OnState, *, timeout: float) -> None:
        """See Provider. Makes the file if it is not there.

        Raises ConfigurationError for a path that is no file of ours or cannot be written, ProviderUnavailable when it
        stays locked for ``timeout`` seconds, LifecycleError when it is started already.
        """
        if self._desk is not None and self._desk.engine.pid == os.getpid():
            raise LifecycleError(f"{self!r} is started already: give every manager a provider of its own")
        self._on_state = on_state
        waker = Waker()
        reception = Reception(self.server_name, waker.port, poll=self._settings.poll, refused=self._refused)
        engine = Engine(self._settings, reception, waker, self._changed)
        try:
            engine.start(timeout)
        except BaseException:
            waker.close()
            raise
        remote = remote_filesystem(self._settings.path)
        self._findings = [] if remote is None else [remote]
        self._desk = Desk(engine, reception)
        self._tell(ProviderState(connected=True))

    def stop(self, *, timeout: Optional[float]) -> None:
        """See Provider. What is held and not settled goes back to its queue."""
        if self._desk is not None:
            self._desk.engine.stop(timeout)  # what listeners settle until then is written
            self._desk = None

    def _changed(self, error: Optional[ProviderError]) -> None:
        if error is not None:
            logger.warning("%s; trying again", error)
        self._tell(ProviderState(error is None, error))

    def _refused(self, queue: str, error: Optional[EventError]) -> None:
        refusal = error if error is None or isinstance(error, ProviderError) else ProviderError(str(error))
        self._tell(ProviderState(True, refusal, queue))

    def _tell(self, state: ProviderState) -> None:
        try:
            self._on_state(state)
        except Exception:
            logger.exception("on_state raised")

    # -- declaring and receiving -----------------------------------------------------------------------------------

    def declare(self, target: Target, *, timeout: float) -> None:
        """See Provider. An address needs no declaration: it is the queues' first half."""
        if isinstance(target, EventDescriptor):
            return
        name, linger = (target, None) if isinstance(target, str) else (self.queue_name(target), lingering(target))
        desk = self._started()
        reception = desk.reception

        def work(transaction: Transaction) -> None:
            transaction.tables.declare(name, linger, transaction.now)
            transaction.after.append(lambda: reception.declared.__setitem__(name, linger))

        desk.do(Task(work, durable=True), timeout)

    def findings(self) -> list[str]:
        """See Provider."""
        return list(dict.fromkeys(self._findings))

    def topology(self, targets: Iterable[Target]) -> Topology:
        """See Provider: queues alone. Known at any time."""
        return merged("sqlite", (resource for target in targets for resource in self._resources(target)))

    def _resources(self, target: Target) -> list[Resource]:
        if isinstance(target, EventDescriptor):
            return []
        if isinstance(target, str):
            return [Resource(QUEUE, target, {}, (DEAD_LETTERS,))]
        linger = lingering(target)
        properties = {} if linger is None else {"delete-after": round(linger * 1000)}
        return [Resource(QUEUE, self.queue_name(target), properties, (target.name,))]

    def check(self, targets: Iterable[Target], *, timeout: float) -> list[Difference]:
        """See Provider."""
        there = self._started().do(Task(lambda transaction: transaction.tables.names()), timeout)
        return [
            Difference(resource, MISSING, "it is there from the start of a manager with this listener on")
            for resource in self.topology(targets).resources
            if resource.name not in there
        ]

    def subscribe(
        self, listener: EventListenerDescriptor, on_delivery: OnDelivery, *, credit: int, timeout: float
    ) -> Subscription:
        """See Provider."""
        desk = self._started()
        reception = desk.reception
        reception.needed = True

        def hand_over(consumer: Consumer, session: Session, entry: Entry) -> None:
            delivery = SqliteDelivery(desk, session, consumer, entry)
            with consumer.handing:
                if consumer.open:
                    on_delivery(delivery)
                    return
            delivery.release()

        queue = self.queue_name(listener)
        consumer = Consumer(queue, lingering(listener), hand_over, credit)
        others = desk.do(
            Task(
                lambda transaction: reception.add(transaction, consumer),
                durable=True,
                undo=lambda _others: desk.detach(consumer),
            ),
            timeout,
        )
        if listener.per_process and others:
            self._findings.append(
                f"queue {queue!r} of the per_process listener {listener.name!r} is read by another process: each gets "
                f"a part of the events; give each process a server_name of its own"
            )
        return SqliteSubscription(desk, consumer)

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(self, envelope: Envelope, event: EventDescriptor) -> Confirmation[None]:
        """See Provider. Confirmed once it is in the file; for durable events, once the disk has it."""
        now = time.time()
        headers = envelope.wire_headers
        message = Message(
            headers.get(CE_ID) or envelope.native_id or uuid.uuid4().hex,
            envelope.content_type,
            event.durable,
            None if envelope.ttl is None else now + envelope.ttl,
            json.dumps(headers),
            bytes(envelope.body),
        )
        due = now + envelope.delay if envelope.delay else None
        name = event.name
        if self._desk is None:
            confirmation: Confirmation[None] = Confirmation()
            confirmation.set_exception(ProviderUnavailable("sqlite: the provider is not started"))
            return confirmation
        return self._desk.store(message, due, lambda transaction: transaction.tables.queues_of(name))

    # -- plain queues ----------------------------------------------------------------------------------------------

    def browse(self, queue: str, *, timeout: float) -> Iterator[Envelope]:
        """See Provider. What comes while it is read may be in it or not."""
        last = 0
        while True:
            page = self._started().do(Task(partial(self._page, queue=queue, last=last)), timeout)
            if not page:
                return
            for entry in page:
                yield read(entry)
            last = page[-1].id

    @staticmethod
    def _page(transaction: Transaction, *, queue: str, last: int) -> list[Entry]:
        identifier = transaction.tables.queue(queue)
        return [] if identifier is None else transaction.tables.page(identifier, last, _PAGE)

    def take(self, queue: str, event_id: str, *, timeout: float) -> Optional[Delivery]:
        """See Provider."""
        desk = self._started()
        reception = desk.reception
        reception.needed = True

        def work(transaction: Transaction) -> Optional[SqliteDelivery]:
            identifier, session = transaction.tables.queue(queue), reception.session
            assert session is not None
            entry = None if identifier is None else transaction.tables.take(identifier, event_id, session.id)
            return None if entry is None else SqliteDelivery(desk, session, None, entry)

        def undo(delivery: Optional[SqliteDelivery]) -> None:
            if delivery is not None:
                delivery.release()

        found: Optional[SqliteDelivery] = desk.do(Task(work, undo=undo), timeout)
        return found

    def _started(self) -> Desk:
        if self._desk is None:
            raise LifecycleError("start the provider first")
        return self._desk


def lingering(listener: EventListenerDescriptor) -> Optional[float]:
    """Seconds that its queue stays without a reader; None: for ever."""
    if listener.per_process:
        return PER_PROCESS_DELETE_AFTER
    return None if listener.durable else AUTO_DELETE_AFTER
