"""The one place where a delivery is settled."""

from __future__ import annotations

import concurrent.futures

from aspyx_event.delivery.dead_letters import copy_headers, error_headers, without_error_headers
from aspyx_event.delivery.lanes import Item
from aspyx_event.delivery.outcome import Result
from aspyx_event.delivery.redelivery import ACCEPT, Action, Verdict
from aspyx_event.envelope import EV_ATTEMPT, shown
from aspyx_event.exceptions import ProviderError
from aspyx_event.listeners import EventListenerDescriptor

CONFIRM_TIMEOUT = 10.0

_RESULTS = {
    Action.ACCEPT: Result.HANDLED,
    Action.RELEASE: Result.RELEASED,
    Action.LATER: Result.RETRIED,
    Action.DEAD: Result.DEAD_LETTERED,
}


class NotConfirmed(Exception):
    """A copy was not confirmed, so nothing is settled: the same delivery has to be tried again later."""


class Settlement:
    """Carries out verdicts for one listener. Thread-safe."""

    def __init__(self, listener: EventListenerDescriptor, *, queue: str, error_queue: str) -> None:
        self._listener = listener
        self.queue = queue
        """Where retries go, and where dead letters say they failed."""
        self._error_queue = error_queue

    def settle(self, item: Item, verdict: Verdict) -> Result:
        """Accept, release, or first send a confirmed copy and then accept. Raises NotConfirmed.

        A crash between the two steps leaves a duplicate, never a loss.
        """
        delivery = item.delivery
        if not delivery.alive:
            return Result.LOST
        if verdict is ACCEPT:
            delivery.accept()
            return Result.HANDLED
        if verdict.action is Action.RELEASE:
            delivery.release()
            return Result.RELEASED
        if verdict.action is not Action.ACCEPT:
            try:
                self._copy(item, verdict)
            except NotConfirmed:
                if delivery.alive:
                    raise
                return Result.LOST
        delivery.accept()
        return _RESULTS[verdict.action]

    def _copy(self, item: Item, verdict: Verdict) -> None:
        headers = without_error_headers(copy_headers(item.renew()))
        if verdict.action is Action.LATER:
            headers[EV_ATTEMPT] = str(item.attempt + 1)
            destination, delay = self.queue, verdict.delay
        else:
            headers[EV_ATTEMPT] = str(item.attempt)
            headers.update(
                error_headers(
                    item.error or RuntimeError("no error is known"),
                    reason=verdict.reason,
                    queue=self.queue,
                    listener=self._listener,
                    attempts=item.attempt,
                )
            )
            destination, delay = self._error_queue, 0.0
        confirmation = item.delivery.forward(destination, headers, delay=delay)
        try:
            confirmation.result(CONFIRM_TIMEOUT)
        except (ProviderError, concurrent.futures.TimeoutError, concurrent.futures.CancelledError) as error:
            confirmation.cancel()
            raise NotConfirmed(
                f"the copy of event {shown(item.envelope.id)} for the queue {destination} was not confirmed "
                f"({str(error) or type(error).__name__})"
            ) from error
