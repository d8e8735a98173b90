"""One listener's queue: a connection of its own, flow control, and settling.

How a message is given back. STOMP's NACK loses it on Artemis and dead-letters it on ActiveMQ Classic; on RabbitMQ an
UNSUBSCRIBE returns nothing before the connection ends. What all three do is to give back, to the head of the queue and
in order, what is unsettled when the subscription and then the connection are ended in good order: UNSUBSCRIBE, then
DISCONNECT. (Measured: Artemis and Classic count no delivery then; Artemis does for the first message when the
UNSUBSCRIBE is left out, and RabbitMQ's quorum queues count one in any case.) So each subscription has a connection,
and:

* ``release`` on an open subscription: on RabbitMQ a confirmed copy to the end of the queue, then an ACK, because all
  else would count. Elsewhere nothing more is handed over; once the rest is settled, the connection is closed, which
  returns the released, and opened again.
* ``give_back`` while paused: the same, and without a subscription until ``resume``: a broker that has one sends on. (A
  queue that is not durable would be gone without one; what was sent ahead of it stays here.)
* ``close``: nothing more is handed over. Once everything that was is settled or released, the connection is closed;
  what was released meanwhile, and what lay here unseen, goes back together.

A connection of its own also means that a refused subscription (which ends the connection on every broker) harms no
other one.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Optional

from aspyx_event.exceptions import ProviderError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Confirmation, OnDelivery, Subscription
from aspyx_event.providers.stomp.channel import Channel
from aspyx_event.providers.stomp.delivery import StompDelivery
from aspyx_event.providers.stomp.dialects import Dialect, Source
from aspyx_event.providers.stomp.link import Link, Message
from aspyx_event.providers.stomp.publisher import Publisher
from aspyx_event.timing import Deadline

logger = logging.getLogger(__name__)

_HEADERS_SIZE = 700
"""Bytes of headers that an event of ours has, about."""
_MANY_CONSUMERS = 16
_ATTACH_TIMEOUT = 10.0


class StompSubscription(Subscription):
    """See Subscription. Thread-safe; ``on_delivery`` is called without a lock held, by one thread at a time."""

    def __init__(
        self,
        listener: EventListenerDescriptor,
        queue: str,
        on_delivery: OnDelivery,
        *,
        credit: int,
        dialect: Dialect,
        publisher: Publisher,
    ) -> None:
        self.listener = listener
        self.dialect = dialect
        self.publisher = publisher
        self.channel: Optional[Channel] = None
        self.refused = False
        """Whether the broker does not let us attach, which is tried again and again."""
        self.returns_to_head = not dialect.releases_by_copy
        self._queue = queue
        self._on_delivery = on_delivery
        self._changed = threading.Condition(threading.RLock())
        self._buffer: deque[StompDelivery] = deque()
        self._credit = credit
        self._in_flight = 0
        self._paused = False
        self._closed = False
        self._giving_back = False
        self._aside = False
        self._handing: Optional[int] = None
        self._link: Optional[Link] = None
        self._consumers = 0
        self._granted = 0
        self._average = 0.0

    @property
    def queue(self) -> str:
        """See Subscription."""
        return self._queue

    @property
    def closed(self) -> bool:
        """Whether it was closed here."""
        return self._closed

    @property
    def ended(self) -> bool:
        """Whether it was closed, and its connection is gone."""
        return self._closed and self.channel is not None and self.channel.join(0)

    @property
    def attached(self) -> bool:
        """Whether messages can come; or cannot, for a reason that has been reported."""
        channel = self.channel
        return self.refused or (channel is not None and (channel.link is not None or channel.renewing))

    @property
    def waiting(self) -> bool:
        """Whether nothing is here, and a message might come at any time."""
        return not (self._in_flight or self._buffer or self._closed or self._paused or self._aside)

    # -- the connection's thread -----------------------------------------------------------------------------------

    def attach(self, link: Link, *, timeout: float | None = None) -> None:
        """Subscribe over a new connection, within 10 s or less. Raises AttachRefused, ProviderUnavailable."""
        deadline = Deadline(_ATTACH_TIMEOUT if timeout is None else min(timeout, _ATTACH_TIMEOUT))
        with self._changed:
            self._link = link
            self._forget()
            more = self.dialect.more_sources(self._queue, self.listener)[: max(0, self._wanted() - 1)]
            self._granted = len(more)  # each of them gets a credit of its own
            answer = self._subscribe_for_more(link)
            self._granted -= len(more)
        try:
            while answer is not None:
                link.wait(answer, deadline, f"SUBSCRIBE {self._queue}")
                with self._changed:
                    source = more.pop(0) if more and link is self._link else None
                    answer = self._subscribe(link, source, 1) if source is not None else None
        except ProviderError as error:
            self.detach(link)
            raise self.dialect.source_refused(self._queue, self.listener, error) from error

    def detach(self, link: Optional[Link] = None) -> None:
        """The connection has ended."""
        with self._changed:
            if link is None or link is self._link:
                self._link = None
                self._forget()
            closed = self._closed
        if closed and self.channel is not None:
            self.channel.close()

    def _forget(self) -> None:
        self._buffer.clear()
        self._in_flight = 0
        self._giving_back = False
        self._consumers = 0
        self._granted = 0

    # -- flow control ----------------------------------------------------------------------------------------------

    def _wanted(self) -> int:
        if not self.dialect.by_bytes:
            return self._credit
        # The broker sends while some of the window is left: so many messages of this size, and not one more.
        return (self._credit - 1) * round(self._average + _HEADERS_SIZE) + 1

    def _subscribe_for_more(self, link: Link, *, least: int = 1) -> Confirmation[None] | None:
        """One more consumer for what the others do not let through; a SUBSCRIBE cannot be changed afterwards."""
        more = self._wanted() - self._granted
        if more < least or self._closed or self._aside:
            return None
        if self._consumers >= _MANY_CONSUMERS and more < self._granted // 4:
            return None
        return self._subscribe(link, self.dialect.source(self._queue, self.listener), more)

    def _subscribe(self, link: Link, source: Source, amount: int) -> Confirmation[None]:
        self._consumers += 1
        self._granted += amount
        name = f"c{self._consumers}"
        unsubscribe = self.dialect.unsubscribes(self.listener)
        link.consume(name, lambda messages: self._received(link, messages), unsubscribe=unsubscribe)
        own = {"destination": source.destination, "id": name, "ack": "client-individual"}
        return link.ask("SUBSCRIBE", {**source.headers, **self.dialect.flow(amount), **own})

    def set_credit(self, credit: int) -> None:
        """See Subscription. A lower credit leaves more at the broker's side of the flow than is handed over."""
        with self._changed:
            self._credit = credit
            if self._link is not None:
                self._subscribe_for_more(self._link)
        self._hand_over()

    def pause(self) -> None:
        """See Subscription."""
        with self._changed:
            self._paused = True

    def give_back(self) -> None:
        """See Subscription; the module's text tells how."""
        if not self.listener.durable:
            return
        with self._changed:
            self._aside = self._giving_back = True
            link, done = self._link, self._in_flight == 0
        if done:
            self._end(link)

    def resume(self) -> None:
        """See Subscription."""
        with self._changed:
            self._paused = self._aside = False
            bare = self._link if self._consumers == 0 else None
        if bare is not None:
            self._end(bare)  # the next connection subscribes, and tells when that is refused
        else:
            self._hand_over()

    # -- messages --------------------------------------------------------------------------------------------------

    def _received(self, link: Link, messages: list[Message]) -> None:
        with self._changed:
            if link is not self._link:
                return
            self._buffer.extend([StompDelivery(self, link, headers, body) for headers, body in messages])
            if self.dialect.by_bytes:
                for _, body in messages:
                    size = len(body)
                    self._average = self._average + (size - self._average) / 8 if self._average else size
                self._subscribe_for_more(link, least=self._granted // 2 + 1)
        self._hand_over()

    def _hand_over(self) -> None:
        """Hand over what there is room for. A thread that is at it does it for the others too: order is kept."""
        with self._changed:
            if self._handing is not None:
                return
            self._handing = threading.get_ident()
        while True:
            with self._changed:
                delivery = self._next()
                if delivery is None:
                    self._handing = None
                    self._changed.notify_all()
                    return
            try:
                self._on_delivery(delivery)
            except Exception:
                logger.exception("a delivery of the queue %s could not be handed over", self._queue)

    def _next(self) -> StompDelivery | None:
        if not self._hands_over:
            return None
        self._in_flight += 1
        return self._buffer.popleft()

    @property
    def _hands_over(self) -> bool:
        """Whether something is here that may be handed over now."""
        if not self._buffer or self._in_flight >= self._credit:
            return False
        return not (self._closed or self._paused or self._giving_back)

    def settle(self, delivery: StompDelivery, *, accept: bool) -> None:
        """Settle a delivery; the first time counts."""
        with self._changed:
            link = self._link
            if delivery.settled or link is None or delivery.link is not link:
                delivery.settled = True
                return
            delivery.settled = True
            copies = not (accept or self._closed or self._giving_back) and self.dialect.releases_by_copy
        if copies:
            self._put_back(delivery)
        else:
            self._finish(delivery, "ACK" if accept else None)

    def _put_back(self, delivery: StompDelivery) -> None:
        """Send it to its own queue again, and settle it when that is confirmed."""
        headers = self.dialect.read(delivery.headers, delivery.body).wire_headers
        copy = self.dialect.copy(delivery.headers, delivery.body, self._queue, headers, delay=0)
        confirmation = self.publisher.send(copy)
        confirmation.add_done_callback(
            lambda done: self._finish(delivery, "NACK" if done.cancelled() or done.exception() else "ACK")
        )

    def _finish(self, delivery: StompDelivery, command: str | None) -> None:
        """No longer in flight. Without a command it is given back by the end of the connection."""
        with self._changed:
            link = self._link
            if link is None or delivery.link is not link:
                return
            self._in_flight -= 1
            if command is None:
                self._giving_back = True
            elif command == "ACK":
                link.acknowledge(self.dialect.ack_id(delivery.headers))
            else:
                link.tell(command, {"id": self.dialect.ack_id(delivery.headers)})
            done = self._in_flight == 0 and (self._closed or self._giving_back)
            more = self._hands_over
        if done:
            self._end(link)
        elif more:
            self._hand_over()

    def close(self, timeout: float | None = None) -> None:
        """See Subscription. The connection ends when everything that was handed over is settled or released."""
        deadline = Deadline(timeout)
        with self._changed:
            self._closed = True
            while self._handing not in (None, threading.get_ident()) and not deadline.passed:
                self._changed.wait(deadline.left())
            link, done = self._link, self._in_flight == 0
        if done:
            self._end(link)

    def _end(self, link: Link | None) -> None:
        if self.channel is None:
            return
        if self._closed:
            self.channel.close()
        elif link is not None:
            self.channel.recycle(link)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "paused" if self._paused else "open"
        return (
            f"<StompSubscription {self._queue} {state} credit={self._credit} in_flight={self._in_flight} "
            f"buffered={len(self._buffer)}>"
        )
