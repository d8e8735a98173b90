"""The demo: orders through the embedded provider; what is told is what really happened."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass

from aspyx_event.cli.screen import Screen
from aspyx_event.delivery.outcome import Outcome, Result
from aspyx_event.envelope import current_envelope
from aspyx_event.events import event
from aspyx_event.listeners import EventListener, event_listener
from aspyx_event.manager import EventManager
from aspyx_event.providers.local import LocalProvider
from aspyx_event.registry import EventRegistry
from aspyx_event.retry import RetryPolicy

PATIENCE = 10.0
CUSTOMERS = ("Ada", "Grace", "Alan", "Edsger", "Barbara")
UNLUCKY, HOPELESS = 2, 4


@event(durable=True)
@dataclass
class OrderPlaced:
    """A customer placed an order."""

    id: int
    customer: str
    total: float


class Story:
    """What happens, told line by line, and counted. Thread-safe."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self.counts: Counter[str] = Counter()
        self.fates: dict[str, list[str]] = {}

    def tell(self, kind: str, event_id: str, what: str) -> None:
        """One line of the timeline."""
        with self._changed:
            self.counts[kind] += 1
            self.fates.setdefault(event_id, []).append(kind)
            self._screen.step(time.monotonic() - self._began, kind, what)
            self._changed.notify_all()

    def wait_for(self, **expected: int) -> bool:
        """Wait until so much was told; False when it takes too long."""
        wanted = {kind.replace("_", " "): count for kind, count in expected.items()}
        with self._changed:
            return self._changed.wait_for(
                lambda: all(self.counts[kind] >= count for kind, count in wanted.items()), PATIENCE
            )

    def observe(self, outcome: Outcome) -> None:
        """What became of a delivery."""
        if outcome.listener != Billing.__name__:
            return
        if outcome.result is Result.RETRIED:
            self.tell(
                "retried", outcome.event_id, f"{outcome.event_id} comes back to the queue of Billing after a pause"
            )
        elif outcome.result is Result.DEAD_LETTERED:
            self.tell("dead letter", outcome.event_id, f"{outcome.event_id} after {outcome.attempt} attempts")


@event_listener(OrderPlaced, retry=RetryPolicy(immediate=1, immediate_wait=(0.1,), delayed=(0.8,), jitter=0))
class Billing(EventListener[OrderPlaced]):
    """Handles orders; its bank is down for some of them."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self.bank_is_up = False

    def on(self, event: OrderPlaced) -> None:
        """Bill one order, or fail."""
        envelope = current_envelope()
        assert envelope is not None
        try:
            if event.id == HOPELESS and not self.bank_is_up:
                raise ConnectionError("the bank does not answer")
            if event.id == UNLUCKY and envelope.attempt < 3:
                raise TimeoutError("the bank is slow")
        except OSError as error:
            self._story.tell("failed", envelope.id, f"{envelope.id} in Billing, attempt {envelope.attempt}: {error}")
            raise
        self._story.tell("handled", envelope.id, f"{envelope.id} by Billing, attempt {envelope.attempt}")


@event_listener(OrderPlaced)
class Shipping(EventListener[OrderPlaced]):
    """A second listener with a queue of its own: it never sees the retries of the first."""

    def __init__(self, story: Story) -> None:
        self._story = story

    async def on(self, event: OrderPlaced) -> None:
        """Ship one order."""
        self._story.tell("handled", f"order-{event.id}", f"order-{event.id} by Shipping (async)")


def run(screen: Screen) -> int:
    """Tell the story; 0 when it came out as promised, else 1."""
    logging.getLogger("aspyx_event").addHandler(logging.NullHandler())  # the timeline tells it better
    story = Story(screen)
    billing = Billing(story)
    registry = EventRegistry().register(billing, Shipping(story))
    screen.text("Five orders, two listeners, no broker. Billing's bank is slow for one order and down for another.\n")
    manager = EventManager(LocalProvider(server_name="demo"), registry=registry, observers=[story.observe])
    with manager:
        ended = _tell(story, manager, billing)
        screen.table("What became of each order", ("order", "fate"), _fates(story))
        screen.text(f"\n{manager.describe()}\n")
        left = list(manager.dead_letters())
    if not ended or left:
        screen.text(f"The story did not come out as promised: {dict(story.counts)}, {len(left)} dead letters left.")
        return 1
    screen.text("Nothing was lost.")
    return 0


def _tell(story: Story, manager: EventManager, billing: Billing) -> bool:
    for number, customer in enumerate(CUSTOMERS, 1):
        story.tell("sent", f"order-{number}", f"order-{number} of {customer}: confirmed")
        manager.send_event(OrderPlaced(number, customer, number * 9.5), id=f"order-{number}", key=customer)
    if not story.wait_for(handled=9, retried=2, dead_letter=1):
        return False
    for letter in manager.dead_letters():
        billing.bank_is_up = True
        what = f"{letter.id}, which failed in {letter.queue} with {letter.error_type}: {letter.error_message}"
        story.tell("replayed", letter.id, what)
        manager.replay(letter.id)
    return story.wait_for(handled=10)


def _fates(story: Story) -> list[tuple[str, str]]:
    return [(event_id, " > ".join(fate)) for event_id, fate in sorted(story.fates.items())]
