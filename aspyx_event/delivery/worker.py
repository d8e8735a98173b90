"""What a worker does with the deliveries of one listener."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
import threading
import time
from typing import Callable

from aspyx_event.delivery.attempt import Attempts, Stopping
from aspyx_event.delivery.calls import Call
from aspyx_event.delivery.credit import Credit
from aspyx_event.delivery.health import Counters, ListenerHealth
from aspyx_event.delivery.inbox import Inbox
from aspyx_event.delivery.lanes import Item
from aspyx_event.delivery.outcome import Observer, Outcome, Result
from aspyx_event.delivery.outcome_log import OutcomeLog
from aspyx_event.delivery.redelivery import (
    ACCEPT,
    EXPIRED,
    REASON_EXCEPTION,
    RELEASE,
    Action,
    Poison,
    Verdict,
    judge,
)
from aspyx_event.delivery.settlement import NotConfirmed, Settlement
from aspyx_event.envelope import shown
from aspyx_event.exception_manager import ExceptionManager
from aspyx_event.exceptions import Reject
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Delivery, Subscription
from aspyx_event.retry import RetryPolicy, repeat_in_place
from aspyx_event.timing import SYSTEM_CLOCK, Clock, Scheduler

logger = logging.getLogger(__name__)

TURN = 16
"""Deliveries a worker handles, at least, before it gives other listeners their turn."""
SLICE = 0.02
"""Seconds that a turn takes, at least: changing turns costs as much as some deliveries of a quick listener."""
HANDLER_WARNING = 60.0


class ListenerWorker:
    """The dispatching of one listener: inbox, attempts, settlement, counters. Thread-safe.

    settled, ended: called for each delivery once ``stopping`` is set.
    """

    def __init__(
        self,
        listener: EventListenerDescriptor,
        *,
        inbox: Inbox,
        attempts: Attempts,
        settlement: Settlement,
        policy: RetryPolicy,
        exceptions: ExceptionManager,
        submit: Callable[[Callable[[], None]], None],
        goes_on: Callable[[], bool],
        scheduler: Scheduler,
        stopping: threading.Event,
        settled: Callable[[], None],
        ended: Callable[[Result], None],
        observers: tuple[Observer, ...],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.listener = listener
        self.inbox = inbox
        self.counters = Counters()
        self.subscription: Subscription | None = None
        self.queue = ""
        self.detached: str | None = None
        """Why the broker does not deliver to it; None while it does."""
        self._attempts = attempts
        self._settlement = settlement
        self._policy = policy
        self._exceptions = exceptions
        self._submit = submit
        self._goes_on = goes_on
        self._scheduler = scheduler
        self._stopping = stopping
        self._settled = settled
        self._ended = ended
        self._clock = clock
        self._observers = observers
        self.credit = Credit(inbox.concurrency, listener.prefetch)
        self.log = OutcomeLog(listener.name, scheduler)
        self._switch = threading.Lock()

    # -- entrance

    def attached(self, subscription: Subscription) -> None:
        """It has a subscription now; its queue may be another than the provider's name for the listener says."""
        self.subscription = subscription
        self.inbox.newest_first = subscription.returns_to_head
        self.queue = self._settlement.queue = subscription.queue

    def open(self) -> None:
        """Let deliveries start, those too that came meanwhile."""
        self.inbox.open()
        self.wake()

    def on_delivery(self, delivery: Delivery) -> None:
        """Called by the provider. Never blocks."""
        if self.inbox.put(delivery):
            self._call()

    def wake(self) -> None:
        """Something changed that may let waiting deliveries start."""
        if self.inbox.wants_worker():  # that one calls the next
            self._call()

    def pause(self) -> bool:
        """Take nothing more; what waits goes back to the broker, what runs finishes. Whether that is a change."""
        with self._switch:
            if self.subscription is None or self.inbox.held or self.inbox.state == "stopped":
                return False
            self.subscription.pause()
            self.subscription.give_back()
            self.inbox.hold()
            return True

    def resume(self) -> bool:
        """Undo ``pause``. Whether that is a change."""
        with self._switch:
            if self.subscription is None or not self.inbox.go_on():
                return False
            self.subscription.resume()
        self.wake()
        return True

    def health(self, *, connected: bool) -> ListenerHealth:
        """A snapshot of the listener."""
        state, detail = self.inbox.condition
        if state == "throttled":
            detail = self.counters.last_error or ""
        if state != "stopped" and (self.detached or not connected):
            reason = self.detached or "no connection"
            detail = f"{reason}; paused {detail}" if self.inbox.held else reason
            state = "detached"
        return self.counters.health(state=state, detail=detail or None, in_flight=self.inbox.in_flight)

    def warn_of_long_runners(self) -> None:
        """One WARNING for each delivery that is in its listener for more than a minute: threads cannot be killed."""
        for item in self.inbox.running:
            seconds = time.monotonic() - item.started_at
            if seconds >= HANDLER_WARNING and not item.warned:
                item.warned = True
                logger.warning(
                    "listener %s works on event %s since %.0f s in thread %s",
                    self.listener.name, shown(item.envelope.id), seconds, item.thread.name if item.thread else "?",
                )  # fmt: skip

    # -- a worker's turn

    def _call(self) -> None:
        call = Call()
        try:
            self._submit(functools.partial(self._turn, call))
        except RuntimeError:  # the executor, or the interpreter, shuts down: stop() releases what waits
            return
        self.inbox.called(call)

    def _turn(self, call: Call) -> None:
        try:
            began, number = time.monotonic(), 0
            while number < TURN or time.monotonic() - began < SLICE:
                item, another = self.inbox.take(call)
                number += 1
                if another:
                    self._call()
                self._fit_credit()
                if item is None:
                    return
                self._process(item)
                if not self._goes_on():
                    break
        except BaseException:
            with contextlib.suppress(Exception):  # of a handler of the log: the turn has to be ended all the same
                logger.exception("listener %s: a worker's turn failed", self.listener.name)
        if call.answered:
            self.inbox.worker_gone()
        call.answered = True
        self.wake()

    def _process(self, item: Item) -> None:
        verdict, result, why = item.pending, None, ""
        try:
            if verdict is None:
                verdict = contextvars.Context().run(self._decide, item)
            result = self._settlement.settle(item, verdict)
        except NotConfirmed as error:
            why = str(error)
        except BaseException as error:  # a bug of ours, or of a provider: given back, it would only be here again
            logger.exception(
                "listener %s: event %s is kept and tried again", self.listener.name, shown(item.envelope.id)
            )
            why = f"event {shown(item.envelope.id)} could not be settled ({type(error).__name__})"
        try:
            if verdict is None or result is None:
                item.pending = verdict
                self._keep(item, why)
            else:
                if self.inbox.done(item):
                    logger.info("listener %s goes on: nothing is kept any more", self.listener.name)
                self._finish(item, verdict, result)
        finally:
            if self._stopping.is_set():
                self._settled()

    def _keep(self, item: Item, why: str) -> None:
        pause, first = self.inbox.keep(item, why)
        if first:
            logger.warning(
                "listener %s is paused: %s; it is tried again every %.0f s",
                self.listener.name, why, pause,
            )  # fmt: skip
        if pause:
            self._scheduler.call_later(pause, self.wake)
        else:
            self._finish(item, RELEASE, Result.RELEASED)

    def _decide(self, item: Item) -> Verdict:
        """Handle the event, with tries in place, and say what shall become of its delivery."""
        if not item.delivery.alive:  # its connection broke while it waited: the broker gives it out again
            return RELEASE
        if self._stopping.is_set():
            return RELEASE
        if item.envelope.expires_at is not None and item.envelope.expired_at(self._clock.time()):
            return EXPIRED
        try:
            self._attempts.check(item.envelope)
            self._attempts.run(item)
        except Stopping:
            return RELEASE
        except BaseException as error:  # noqa: BLE001 - it is judged, and seen by the exception handlers
            verdict = self._judged(item, error)
            return verdict if verdict.action is not Action.IN_PLACE else self._go_on(item, error)
        return ACCEPT

    def _go_on(self, item: Item, failed: BaseException) -> Verdict:
        """Try again on the spot after a first failure."""

        def attempt() -> None:
            item.attempt += 1
            item.judged = None
            self._attempts.run(item)

        def again(error: BaseException) -> float | None:
            verdict = item.judged or self._judged(item, error)
            return verdict.delay if verdict.action is Action.IN_PLACE else None

        try:
            repeat_in_place(attempt, failed, again=again, stop=self._stopping, pause=self._rest)
        except Stopping:
            return RELEASE
        except BaseException as error:  # noqa: BLE001 - the same
            verdict = item.judged or self._judged(item, error)
            return RELEASE if verdict.action is Action.IN_PLACE else verdict  # its next try was cut short by stop()
        return ACCEPT

    def _rest(self, seconds: float) -> None:
        self._clock.pause(seconds, self._stopping)

    def _judged(self, item: Item, error: BaseException) -> Verdict:
        """Count a failed attempt, let the exception handlers see it, and judge it once."""
        item.failures += 1
        poison = isinstance(error, Poison)
        item.error = self._exceptions.handle(error.error if isinstance(error, Poison) else error)
        item.judged = judge(error if poison else item.error, item.attempt, self._policy)
        return item.judged

    # -- afterwards

    def _finish(self, item: Item, verdict: Verdict, result: Result) -> None:
        seconds = time.monotonic() - item.started_at
        ordinary = verdict is ACCEPT and result is Result.HANDLED and not item.failures
        if ordinary and not self._observers and not self.inbox.throttle.failing and self.log.silent(result):
            self.counters.count_handled()  # as for most events: nobody would see an outcome
            self.credit.measured(seconds)
            if self._stopping.is_set():
                self._ended(result)
            return
        if verdict is EXPIRED and result is Result.HANDLED:
            result = Result.EXPIRED
        self.counters.count(result, failures=item.failures, error=item.error)
        if result is Result.HANDLED:
            self.credit.measured(seconds)
        if self._stopping.is_set():
            self._ended(result)
        throttled = self._report(item, verdict, result)
        if not self._observers and self.log.silent(result):
            return
        outcome = Outcome(
            listener=self.listener.name,
            event_id=item.envelope.id,
            result=result,
            attempt=item.attempt,
            failures=item.failures,
            seconds=seconds,
            error=item.error,
            reason=verdict.reason,
        )
        self.log.write(outcome, delay=verdict.delay, throttled=throttled)
        for observer in self._observers:
            try:
                observer(outcome)
            except Exception:
                logger.exception("an observer of outcomes failed")

    def _report(self, item: Item, verdict: Verdict, result: Result) -> bool:
        """Tell the throttle. True: the listener was throttled before, and still is."""
        if result is Result.HANDLED:
            changed, _ = self.inbox.report(raised=False)
            if changed:
                logger.info("listener %s succeeds again", self.listener.name)
                self.wake()
            return False
        raised = result in (Result.RETRIED, Result.DEAD_LETTERED) and not isinstance(item.error, Reject)
        if raised and verdict.reason in ("", REASON_EXCEPTION):
            changed, pause = self.inbox.report(raised=True, again=item.attempt > item.failures)
            if changed:
                logger.warning(
                    "listener %s only fails: it is throttled until one event succeeds; the last error was %s",
                    self.listener.name, type(item.error).__name__,
                )  # fmt: skip
            if pause:
                self._scheduler.call_later(pause, self.wake)
            return bool(pause) and not changed
        return False

    def _fit_credit(self) -> None:
        parked = self.inbox.parked
        if self.credit.fits == parked or self.subscription is None:
            return
        change = self.credit.change(parked)
        if change is not None:
            self.subscription.set_credit(change)

    def __repr__(self) -> str:
        return f"<ListenerWorker {self.listener.name} {self.inbox.state} in_flight={self.inbox.in_flight}>"
