"""RabbitMQ: names and arguments of exchanges, queues and bindings, the same over AMQP 1.0 and over STOMP.

An event has two exchanges. STOMP cannot declare any, so its events go to ``amq.topic``, with the event's name as
routing key; AMQP's go to a fanout exchange of the event's name. The two are bound to each other (the broker follows a
circle once), so a queue gets each event once, to whichever of them it is bound and whichever is sent to.

The broker refuses to declare a queue again with other arguments. So they are all here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional, Union

from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.providers.brokers.lifetimes import lifetime_of

Argument = Union[str, int]

TOPIC_EXCHANGE = "amq.topic"

AT_LEAST_ONCE, REJECT = "at-least-once", "reject-publish"
POLICY_NAME = "aspyx_event"
POLICY: Mapping[str, object] = {
    "pattern": r"::|\.delay\.[0-9]+\.[0-9]+$",
    "apply-to": "quorum_queues",
    "definition": {"dead-letter-strategy": AT_LEAST_ONCE, "overflow": REJECT},
    "priority": 0,
}
"""What an operator has to set where STOMP is used.

Without it a queue passes on what has waited there, or was delivered too often, without looking whether the next queue
took it. Measured with 4.0.5: of twenty events whose delays ended while the broker started, up to eleven were gone.
"""
PROBE = "aspyx_event::probe"
"""A quorum queue that the policy holds for, and nobody reads."""

_BUCKET = 3600
_BUCKET_MARGIN = 600
_COMING_UP = 5.0
"""Seconds after which a queue has long known its arguments."""
_LONGEST_DELAY = 40 * 24 * 3600.0  # a queue's arguments hold no more than 2**32 milliseconds
_STEPS = (10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82, 100)


@dataclass(frozen=True)
class Queue:
    """A durable queue that is neither exclusive nor auto-delete, and its arguments."""

    name: str
    arguments: tuple[tuple[str, Argument], ...]


@dataclass(frozen=True)
class Binding:
    """From an exchange to a queue, or to another exchange."""

    source: str
    destination: str
    key: str
    to_exchange: bool = False


def listener_queue(name: str, listener: EventListenerDescriptor, *, error_queue: str) -> Queue:
    """The queue of a listener.

    A durable one is a quorum queue. The broker takes a message away that was delivered too often (20 times in 4.0)
    without having been settled: into the error queue.
    """
    lifetime = lifetime_of(listener)
    if lifetime is None:
        dead_letters = (("x-dead-letter-exchange", ""), ("x-dead-letter-routing-key", error_queue))
        return Queue(name, (*dead_letters, ("x-queue-type", "quorum")))
    return Queue(name, (("x-queue-type", "classic"), ("x-expires", round(lifetime * 1000))))


def plain_queue(name: str) -> Queue:
    """The error queue: a classic one, whose messages may be looked at as often as one likes."""
    return Queue(name, (("x-queue-type", "classic"),))


def exchange_bindings(event: str) -> tuple[Binding, Binding]:
    """How the event's own exchange and ``amq.topic`` pass events on to each other."""
    return (
        Binding(TOPIC_EXCHANGE, event, event, to_exchange=True),
        Binding(event, TOPIC_EXCHANGE, event, to_exchange=True),
    )


def queue_binding(event: str, queue: str) -> Binding:
    """How a listener's queue gets the events of the event's own exchange."""
    return Binding(event, queue, event)


def delayed_event(
    event: str, delay: float, *, durable: bool, confirming: bool = False, now: Optional[float] = None
) -> Queue:
    """Where an event waits for ``delay`` seconds (at least) before it goes to all its listeners."""
    stem = f"{event}.delay"
    return _delay_queue(stem, TOPIC_EXCHANGE, event, delay, durable=durable, confirming=confirming, now=now)


def delayed_copy(
    queue: str, delay: float, *, durable: bool, confirming: bool = False, now: Optional[float] = None
) -> Queue:
    """Where a copy waits for ``delay`` seconds (at least) before it goes to ``queue``."""
    return _delay_queue(f"{queue}.retry", "", queue, delay, durable=durable, confirming=confirming, now=now)


def _delay_queue(
    stem: str, exchange: str, key: str, delay: float, *, durable: bool, confirming: bool, now: Optional[float]
) -> Queue:
    """One for each step of delays and each hour.

    All messages of a queue wait equally long, else a long delay at the head would hold up shorter ones. The queue
    deletes itself when nobody has declared it again for longer than its hour and its messages last: one that is written
    to is never about to go.

    confirming: the queue says by its arguments that it keeps a message until the next queue has confirmed it. STOMP
    cannot say so: there the policy has to.
    """
    wait = delay_step(delay)
    bucket = int((time.time() if now is None else now) // _BUCKET)
    arguments: list[tuple[str, Argument]] = [
        ("x-dead-letter-exchange", exchange),
        ("x-dead-letter-routing-key", key),
        ("x-message-ttl", wait),
        ("x-expires", wait + (_BUCKET + _BUCKET_MARGIN) * 1000),
        ("x-queue-type", "quorum" if durable else "classic"),
    ]
    if durable and confirming:
        arguments += [("x-dead-letter-strategy", AT_LEAST_ONCE), ("x-overflow", REJECT)]
    kind = ".nd" if not durable else ".sure" if confirming else ""
    return Queue(f"{stem}{kind}.{wait}.{bucket}", tuple(arguments))


def longest_wait(delay: float) -> float:
    """How many seconds a message that waits in such a queue says itself that it lives: more than the queue allows.

    The shorter of the two counts. But the broker lets others write to a quorum queue a moment before it knows its own
    arguments. What they wrote stayed there for ever, and all that came behind it (measured with 4.0.5).
    """
    return delay_step(delay) / 1000 + _COMING_UP


def delay_step(seconds: float) -> int:
    """The next of few delays, in milliseconds: twelve for each power of ten, at most a quarter longer."""
    wanted = max(1, round(min(seconds, _LONGEST_DELAY) * 1000))
    scale = 10
    while wanted > 10 * _STEPS[-1] * scale // 100:
        scale *= 10
    return next(step * scale // 10 for step in _STEPS if step * scale // 10 >= wanted)


def worn_out(headers: Mapping[str, object]) -> dict[str, str]:
    """The error headers of a message that the broker itself put into the error queue, without a word; else none.

    headers: what the broker wrote, ``x-last-death-reason`` and ``x-last-death-queue`` among it.
    """
    if headers.get("x-last-death-reason") != "delivery_limit":
        return {}
    return {
        "ev_error_reason": "crashed",
        "ev_error_queue": str(headers.get("x-last-death-queue", "")),
        "ev_error_message": "delivered more often than the queue's delivery limit allows",
    }
