"""Events, listeners and collectors for the tests of the AMQP provider against a real broker."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from typing import Callable

from aspyx_event.envelope import CE_ID, Envelope
from aspyx_event.events import EventDescriptor, describe_event, event
from aspyx_event.listeners import EventListenerDescriptor, describe_listener, event_listener
from aspyx_event.provider import Delivery, ProviderState

TIMEOUT = 10.0


def unique(stem: str) -> str:
    """A name no other test uses: all tests share one broker."""
    return f"{stem}-{uuid.uuid4().hex[:8]}"


def an_event(*, durable: bool = True, name: str = "") -> EventDescriptor:
    """An event with an address of its own."""

    @event(name or unique("event"), durable=durable)
    @dataclass
    class Something:
        number: int = 0

    return describe_event(Something)


def a_listener(of: EventDescriptor, *, name: str = "", per_process: bool = False) -> EventListenerDescriptor:
    """A listener with a queue of its own."""

    def handle(_event):  # type: ignore[no-untyped-def]
        """Nobody calls it."""

    return describe_listener(event_listener(of.type, name or unique("listener"), per_process)(handle))


def an_envelope(number: int = 0, **headers: str) -> Envelope:
    """What the core would send."""
    return Envelope(b'{"number":%d}' % number, {CE_ID: f"id-{number}", **headers})


def in_order(wanted: list[str], numbers: list[str]) -> bool:
    """Whether all arrived in this order. Others may be between them: a broker may still read what an older connection
    has sent while a newer one sends it again."""
    arrived = iter(numbers)
    return all(one in arrived for one in wanted)


class Inbox:
    """Collects deliveries, settles none of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.deliveries: list[Delivery] = []

    def __call__(self, delivery: Delivery) -> None:
        with self._changed:
            self.deliveries.append(delivery)
            self._changed.notify_all()

    def wait(self, count: int, timeout: float = TIMEOUT) -> list[Delivery]:
        """Return all deliveries once there are ``count`` of them; fail when that takes too long."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.deliveries) >= count, timeout), (
                f"{len(self.deliveries)} of {count} deliveries arrived"
            )
            return list(self.deliveries)

    def stays_at(self, count: int, seconds: float = 0.4) -> bool:
        """Whether no further delivery arrives."""
        with self._changed:
            return not self._changed.wait_for(lambda: len(self.deliveries) != count, seconds)

    @property
    def numbers(self) -> list[str]:
        """The ids in order of arrival."""
        return [delivery.read().id for delivery in list(self.deliveries)]


class States:
    """Collects what a provider reports."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.seen: list[ProviderState] = []

    def __call__(self, state: ProviderState) -> None:
        with self._changed:
            self.seen.append(state)
            self._changed.notify_all()

    def wait_for(
        self, condition: Callable[[ProviderState], bool], timeout: float = 20.0, *, since: int = 0
    ) -> ProviderState:
        """Return the first report since a position for which the condition holds."""

        def found() -> ProviderState | None:
            return next((state for state in self.seen[since:] if condition(state)), None)

        with self._changed:
            assert self._changed.wait_for(lambda: found() is not None, timeout), f"only {self.seen[since:]}"
            state = found()
            assert state is not None
            return state


def wait_until(condition: Callable[[], bool], timeout: float = TIMEOUT) -> None:
    """Wait for a condition, which is looked at again and again."""
    pause = threading.Event()
    for _ in range(int(timeout / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    assert condition()
