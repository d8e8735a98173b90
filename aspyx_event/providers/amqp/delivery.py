"""Deliveries and subscriptions as the core sees them. Thread-safe."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Callable, Optional

from aspyx_event.envelope import Envelope
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Confirmation, Delivery, OnDelivery, Subscription
from aspyx_event.providers.amqp import mapping
from aspyx_event.providers.amqp.browsing import Scan
from aspyx_event.providers.amqp.links import Received
from aspyx_event.providers.amqp.receiving import Receiver

logger = logging.getLogger(__name__)

Forward = Callable[[bytes, str, Mapping[str, str], float], Confirmation[None]]
Renew = Callable[[bytes, str, Callable[[bool], None]], bool]
"""Has a copy take the message's place, and says later whether it has; False: not needed."""


class AMQPDelivery(Delivery):
    """One message, known by its token."""

    __slots__ = ("_data", "_forward", "_queue", "_received_at", "_receiver", "_renew", "_settled", "_token")

    def __init__(
        self,
        receiver: Receiver | Scan,
        token: int,
        data: bytes,
        forward: Forward,
        *,
        queue: str = "",
        renew: Renew | None = None,
    ) -> None:
        self._receiver = receiver
        self._token = token
        self._data = data
        self._forward = forward
        self._queue = queue
        self._renew = renew
        self._received_at = time.time()
        self._settled = False

    @property
    def alive(self) -> bool:
        """Whether settling still has an effect."""
        return not self._settled and self._receiver.alive

    def read(self) -> Envelope:
        """The message as an envelope, a new one each time."""
        return mapping.decode(self._data, received_at=self._received_at)

    def accept(self) -> None:
        """Done with it."""
        self._settle(True)

    def release(self) -> None:
        """Give it back, or a copy of it where it has been given back too often."""
        if self._renew is None or self._settled or not self._receiver.alive:
            self._settle(False)
            return
        receiver, token, self._settled = self._receiver, self._token, True
        if not self._renew(self._data, self._queue, lambda there: receiver.connection.settle(receiver, token, there)):
            receiver.connection.settle(receiver, token, False)

    def _settle(self, accept: bool) -> None:
        # Two threads may both get past this check: the I/O thread knows the token only once.
        if self._settled:
            return
        self._settled = True
        self._receiver.connection.settle(self._receiver, self._token, accept)

    def forward(self, destination: str, headers: Mapping[str, str], *, delay: float = 0) -> Confirmation[None]:
        """Send a copy to one queue."""
        return self._forward(self._data, destination, headers, delay)

    def __repr__(self) -> str:
        state = "settled" if self._settled else "alive" if self.alive else "lost"
        return f"<AMQPDelivery {self._token} {state} {len(self._data)} bytes>"


class AMQPSubscription(Subscription):
    """A listener's attachment over all connections; ``receiver`` is that of the current one."""

    def __init__(
        self,
        listener: EventListenerDescriptor,
        queue: str,
        on_delivery: OnDelivery,
        forward: Forward,
        *,
        credit: int,
        on_close: Callable[[AMQPSubscription], None],
        renew: Renew,
        returns_to_head: bool,
    ) -> None:
        self.listener = listener
        self.receiver: Optional[Receiver] = None
        self.closed = False
        self.credit = credit
        self.paused = False
        self._queue = queue
        self._on_delivery = on_delivery
        self._forward = forward
        self._on_close = on_close
        self._renew = renew
        self.returns_to_head = returns_to_head

    @property
    def queue(self) -> str:
        """The canonical name of the queue."""
        return self._queue

    def received(self, receiver: Receiver, messages: Received) -> None:
        """Hand over. On the I/O thread."""
        if self.closed:
            for token, _ in messages:
                receiver.settled(token, False)
            receiver.stop(detach=True)
            return
        for token, data in messages:
            try:
                self._on_delivery(
                    AMQPDelivery(receiver, token, data, self._forward, queue=self._queue, renew=self._renew)
                )
            except Exception:
                logger.exception("on_delivery raised for queue %s; the message is given back", self._queue)
                receiver.settled(token, False)

    def attached(self, receiver: Receiver) -> None:
        """Bring a receiver to what was asked for while it was being attached. On the I/O thread."""
        receiver.set_credit(self.credit)
        if self.paused:
            receiver.pause()
        if self.closed:
            receiver.stop(detach=True)

    def set_credit(self, credit: int) -> None:
        """Bound the deliveries that are handed over and not settled."""
        self.credit = credit
        self._tell(lambda receiver: receiver.set_credit(credit))

    def pause(self) -> None:
        """No further deliveries until ``resume``."""
        self.paused = True
        self._tell(lambda receiver: receiver.pause())

    def give_back(self) -> None:
        """What is here and was not handed over yet goes back."""
        self._tell(lambda receiver: receiver.give_back())

    def resume(self) -> None:
        """Deliveries again."""
        self.paused = False
        self._tell(lambda receiver: receiver.resume())

    def close(self, timeout: float | None = None) -> None:
        """No new deliveries, for good; the link stays until everything is settled."""
        self.closed = True
        self._on_close(self)
        receiver = self.receiver
        if receiver is None or not receiver.connection.post(lambda: receiver.stop(detach=True)):
            return
        try:
            receiver.quiet.result(timeout)
        except FutureTimeout:
            logger.warning("queue %s: the broker did not answer to the end of the subscription in time", self._queue)

    def _tell(self, command: Callable[[Receiver], None]) -> None:
        receiver = self.receiver
        if receiver is not None and not self.closed:
            receiver.connection.post(lambda: command(receiver))

    def __repr__(self) -> str:
        state = "closed" if self.closed else "paused" if self.paused else "open"
        flight = self.receiver.in_flight if self.receiver is not None else 0
        return f"<AMQPSubscription {self._queue} {state} in_flight={flight} credit={self.credit}>"
