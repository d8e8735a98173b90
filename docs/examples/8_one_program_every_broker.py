"""One program for every broker: a thousand payments, of which 5 % fail once and 1 % for ever.

ASPYX_EVENT_URL is the broker's URL, ``stomp://user:password@host/`` for example. Start ``listen`` in two terminals,
``send`` in a third; ``errors`` lists what is in the error queue. Without an argument, and without a broker, all of it
happens here.
"""

import json
import logging
import os
import sys
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

COUNT = 1_000
log = logging.getLogger("booking")


@event(durable=True)
@dataclass
class PaymentMade:
    id: int
    amount: float


@event_listener(PaymentMade, retry=RetryPolicy(immediate=0, delayed=(0.5,)))
class Booking(EventListener[PaymentMade]):
    def on(self, event: PaymentMade) -> None:
        envelope = current_envelope()
        attempt = envelope.attempt if envelope else 0
        if event.id % 100 == 0:
            raise ValueError(f"payment {event.id}: there is no such account")
        if event.id % 20 == 1 and attempt == 1:
            raise ConnectionError("the bank does not answer")
        log.info("payment %d booked at attempt %d", event.id, attempt)


class Finished:
    """Knows when all payments are booked or in the error queue."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._lock = threading.Lock()
        self._left = COUNT

    def __call__(self, outcome: Outcome) -> None:
        if outcome.result in (Result.HANDLED, Result.DEAD_LETTERED):
            with self._lock:
                self._left -= 1
                if self._left == 0:
                    self.reached.set()


def send(manager: EventManager) -> None:
    manager.send_events(PaymentMade(number, number * 1.5) for number in range(COUNT))
    print(f"{COUNT} payments sent")


def errors(manager: EventManager) -> None:
    letters = [(json.loads(letter.body)["id"], letter) for letter in manager.dead_letters()]
    for payment, letter in sorted(letters, key=lambda pair: pair[0]):
        print(f"payment {payment}: {letter.reason}, {letter.error_type}, {letter.attempts} attempts")
    print(f"{len(letters)} payments in the error queue")


def main(command: str) -> int:
    finished = Finished()
    manager = EventManager(
        os.environ.get("ASPYX_EVENT_URL", "local://"),
        registry=EventRegistry().register(Booking),
        observers=[finished],
    )
    if command == "listen":
        manager.start()
        print("listening", flush=True)
        code = manager.run()
        health = manager.health().listeners["Booking"]
        print(f"{health.handled} booked, {health.dead_lettered} in the error queue")
        return code
    manager.start(listen=command == "all")
    if command in ("send", "all"):
        send(manager)
    if command == "all":
        finished.reached.wait(30)
    if command in ("errors", "all"):
        errors(manager)
    manager.stop()
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "all"))
