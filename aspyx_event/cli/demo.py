"""The demo: orders through the embedded provider; what is told is what really happened."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from aspyx_event.cli.screen import Screen
from aspyx_event.cli.story import Story
from aspyx_event.delivery.outcome import Outcome, Result
from aspyx_event.envelope import current_envelope
from aspyx_event.events import event
from aspyx_event.exceptions import EventError
from aspyx_event.listeners import EventListener, event_listener
from aspyx_event.manager import EventManager
from aspyx_event.providers.local import LocalProvider
from aspyx_event.registry import EventRegistry
from aspyx_event.retry import RetryPolicy

PATIENCE = 8.0
CUSTOMERS = ("Ada", "Grace", "Alan", "Edsger", "Barbara")
UNLUCKY, HOPELESS = 2, 4
POLICY = RetryPolicy(immediate=1, immediate_wait=(0.1,), delayed=(0.8,), jitter=0)


@event(durable=True)
@dataclass
class OrderPlaced:
    """A customer placed an order."""

    id: int
    customer: str
    total: float


@event_listener(OrderPlaced, retry=POLICY)
class Billing(EventListener[OrderPlaced]):
    """Handles orders; its bank does not answer for some of them."""

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
            what = f"attempt {envelope.attempt}: {error}"
            self._story.tell("failed", envelope.id, what, listener="Billing")
            raise


@event_listener(OrderPlaced)
class Shipping(EventListener[OrderPlaced]):
    """A second listener with a queue of its own: it never sees the retries of the first."""

    async def on(self, event: OrderPlaced) -> None:
        """Ship one order."""


def run(screen: Screen) -> int:
    """Tell the story; 0 when it came out as promised, else 1."""
    logging.getLogger("aspyx_event").addHandler(logging.NullHandler())  # the timeline tells it better
    story = Story(screen)
    screen.text("Five orders, two listeners, no broker. Billing's bank is slow for one order and down for another.\n")
    try:
        trouble = _told(story, screen)
    except EventError as error:
        trouble = f"{type(error).__name__}: {error}"
    if trouble:
        screen.text(f"\nThe story did not come out as promised: {trouble}.")
        return 1
    screen.text("Every order was handled by both listeners; the error queue is empty.")
    return 0


def _told(story: Story, screen: Screen) -> str:
    """All of it on a manager of its own; what went wrong, else nothing."""
    billing = Billing(story)
    registry = EventRegistry().register(billing, Shipping)
    provider = LocalProvider(server_name="demo")
    with EventManager(provider, registry=registry, observers=[lambda outcome: _observe(story, outcome)]) as manager:
        trouble = _send(story, manager) or _replay(story, manager, billing)
        screen.table("What became of each order", ("order", "Billing", "Shipping"), story.fates("Billing", "Shipping"))
        screen.text(f"\n{manager.describe()}\n")
        left = [letter.id for letter in manager.dead_letters()]
    if not trouble and left:
        trouble = f"{', '.join(left)} left in the error queue"
    return trouble


def _send(story: Story, manager: EventManager) -> str:
    """Send all orders and wait until one of them is a dead letter."""
    for number, customer in enumerate(CUSTOMERS, 1):
        story.tell("sending", f"order-{number}", f"of {customer}")
        manager.send_event(OrderPlaced(number, customer, number * 9.5), id=f"order-{number}", key=customer)
    story.tell("confirmed", f"all {len(CUSTOMERS)}", "send_event has returned for each")
    return story.wait_for(PATIENCE, handled=2 * len(CUSTOMERS) - 1, retried=2, dead_letter=1)


def _replay(story: Story, manager: EventManager, billing: Billing) -> str:
    """Mend the bank, and send the dead letters back to the listener they failed in."""
    billing.bank_is_up = True
    for letter in list(manager.dead_letters()):
        what = f"to {letter.queue}, where it failed with {letter.error_type}"
        story.tell("replaying", letter.id, what, listener=letter.listener)
        manager.replay(letter.id)
    return story.wait_for(PATIENCE, handled=2 * len(CUSTOMERS))


def _observe(story: Story, outcome: Outcome) -> None:
    """What became of a delivery, from the library itself."""
    if outcome.result is Result.HANDLED:
        story.tell("handled", outcome.event_id, f"attempt {outcome.attempt}", listener=outcome.listener)
    elif outcome.result is Result.RETRIED:
        what = f"after {outcome.attempt} attempts: a copy waits in the listener's own queue"
        story.tell("retried", outcome.event_id, what, listener=outcome.listener)
    elif outcome.result is Result.DEAD_LETTERED:
        what = f"after {outcome.attempt} attempts: to the error queue, reason {outcome.reason!r}"
        story.tell("dead letter", outcome.event_id, what, listener=outcome.listener)
