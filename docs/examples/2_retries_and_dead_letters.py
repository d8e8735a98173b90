"""A listener that fails: tries on the spot, a delayed retry, the error queue, and the way back."""

import threading
from dataclasses import dataclass

from aspyx_event import (
    EventListener,
    EventManager,
    EventRegistry,
    Outcome,
    Result,
    RetryPolicy,
    current_envelope,
    event,
    event_listener,
)

dead, handled = threading.Event(), threading.Event()
bank_is_up = False


@event(durable=True)
@dataclass
class OrderPlaced:
    id: int


@event_listener(OrderPlaced, retry=RetryPolicy(immediate=1, immediate_wait=(0,), delayed=(0.2,)))
class Billing(EventListener[OrderPlaced]):
    def on(self, event: OrderPlaced) -> None:
        envelope = current_envelope()
        print(f"attempt {envelope.attempt if envelope else '?'}")
        if not bank_is_up:
            raise ConnectionError("the bank does not answer")


def observe(outcome: Outcome) -> None:
    if outcome.result is Result.DEAD_LETTERED:
        dead.set()
    elif outcome.result is Result.HANDLED:
        handled.set()


registry = EventRegistry().register(Billing)
with EventManager("local://", registry=registry, observers=[observe]) as manager:
    manager.send_event(OrderPlaced(1), id="order-1")
    dead.wait(10)
    for letter in manager.dead_letters():
        print(f"{letter.id} is in the error queue: {letter.reason}, {letter.error_type}: {letter.error_message}")
        bank_is_up = True
        manager.replay(letter.id)
    handled.wait(10)
    print(f"{len(list(manager.dead_letters()))} dead letters left")
