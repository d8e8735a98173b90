"""How often, and when, something is tried again. The only module that knows tenacity."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Optional, TypeVar

from aspyx_event.exceptions import ConfigurationError

if TYPE_CHECKING:
    import tenacity  # at run time with the first retry, or the first connection to a broker

T = TypeVar("T")

RECONNECT_INITIAL = 0.5
RECONNECT_MAXIMUM = 30.0


@dataclass(frozen=True)
class RetryPolicy:
    """How often a failing listener gets an event, and with which pauses. All times in seconds. Immutable.

    An event is handled at most ``max_attempts`` = (immediate + 1) * (len(delayed) + 1) times: a first try and
    ``immediate`` further ones on the spot, then the same again after each pause of ``delayed``.

    immediate: tries on the spot after the first one; the worker and the event's key stay occupied.
    immediate_wait: the pause before each of them; the last one is repeated.
    delayed: pauses for which the event goes back to its listener's queue; nothing is occupied meanwhile.
    jitter: the share that chance adds to a delayed pause: 0.25 makes 10 s to anything from 10 s to 12.5 s.
    fatal: exceptions that are never retried.
    on: the only exceptions that are.

    Raises ConfigurationError for values that cannot be meant.
    """

    immediate: int = 2
    immediate_wait: Sequence[float] = (0, 0.1)
    delayed: Sequence[float] = (10, 20, 30)
    jitter: float = 0.25
    fatal: tuple[type[BaseException], ...] = ()
    on: tuple[type[BaseException], ...] = (Exception,)

    def __post_init__(self) -> None:
        if not isinstance(self.immediate, int) or self.immediate < 0:
            raise ConfigurationError(f"RetryPolicy(immediate={self.immediate!r}): a number of tries, zero or more")
        for name in ("immediate_wait", "delayed"):
            pauses = getattr(self, name)
            if isinstance(pauses, (str, bytes)) or not isinstance(pauses, Sequence):
                raise ConfigurationError(f"RetryPolicy({name}={pauses!r}): a sequence of seconds, such as (1, 5, 30)")
            if not all(isinstance(pause, (int, float)) and 0 <= pause < float("inf") for pause in pauses):
                raise ConfigurationError(f"RetryPolicy({name}={pauses!r}): every pause is a number of seconds >= 0")
            object.__setattr__(self, name, tuple(pauses))
        if not isinstance(self.jitter, (int, float)) or not 0 <= self.jitter <= 1:
            raise ConfigurationError(f"RetryPolicy(jitter={self.jitter!r}): a share from 0 to 1")
        for name in ("fatal", "on"):
            kinds = getattr(self, name)
            if not isinstance(kinds, tuple) or not all(
                isinstance(k, type) and issubclass(k, BaseException) for k in kinds
            ):
                raise ConfigurationError(f"RetryPolicy({name}={kinds!r}): a tuple of exception classes")

    @property
    def max_attempts(self) -> int:
        """After this many failed attempts the event goes to the error queue."""
        return (self.immediate + 1) * (len(self.delayed) + 1)

    def covers(self, error: BaseException) -> bool:
        """Whether an attempt that failed with ``error`` may be repeated at all."""
        return isinstance(error, self.on) and not isinstance(error, self.fatal)

    def on_the_spot(self, attempt: int) -> bool:
        """Whether the try after failed attempt number ``attempt`` (from 1) follows in place."""
        return attempt % (self.immediate + 1) != 0

    def immediate_pause(self, attempt: int) -> float:
        """Seconds before the try in place that follows failed attempt ``attempt``."""
        if not self.immediate_wait:
            return 0.0
        position = attempt % (self.immediate + 1) - 1
        return float(self.immediate_wait[min(position, len(self.immediate_wait) - 1)])

    def delayed_pause(self, attempt: int) -> float:
        """Seconds in the queue after failed attempt ``attempt``, chance included."""
        if not self.delayed:
            return 0.0
        position = max(0, min(attempt // (self.immediate + 1), len(self.delayed)) - 1)
        pause = float(self.delayed[position])
        return pause + random.uniform(0, pause * self.jitter)


def repeat_in_place(
    attempt: Callable[[], T],
    failed: BaseException,
    *,
    again: Callable[[BaseException], float | None],
    stop: threading.Event,
    pause: Optional[Callable[[float], None]] = None,
) -> T:
    """Go on after a first try that ``failed``: repeat ``attempt`` until it succeeds or ``again`` has had enough.

    ``again(error)`` answers the seconds to wait before the next try, or None for no further one: then that error is
    raised. A ``stop`` that is set ends the waiting, and the last error is raised. ``pause(seconds)`` waits, by default
    in real time.
    """
    import tenacity

    last = [failed]
    pending = [failed]
    seconds_to_wait = [0.0]

    def wanted(error: BaseException) -> bool:
        last[0] = error
        seconds = None if stop.is_set() else again(error)
        seconds_to_wait[0] = seconds or 0.0
        return seconds is not None

    def once() -> T:
        if pending:
            raise pending.pop()
        if stop.is_set():  # the pause was cut short: this try is not ours to make
            raise last[0]
        return attempt()

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(wanted),
        wait=lambda _state: seconds_to_wait[0],
        sleep=pause or tenacity.sleep_using_event(stop),
        reraise=True,
    )
    return retrying(once)


class Stopped(Exception):
    """Raised by ``reconnecting`` when its stop event was set before an attempt succeeded."""


def reconnecting(
    connect: Callable[[], T],
    *,
    stop: threading.Event,
    on_failure: Callable[[BaseException, float], None],
    final: tuple[type[BaseException], ...] = (),
) -> T:
    """Run ``connect`` until it succeeds: exponential pauses from 0.5 s to 30 s with full jitter, for ever.

    ``on_failure(error, pause)`` hears of each failed attempt. An error of the kinds in ``final`` is raised at once;
    a ``stop`` that gets set raises ``Stopped``.
    """

    import tenacity

    def heard(state: tenacity.RetryCallState) -> None:
        outcome = state.outcome
        error = outcome.exception() if outcome is not None else None
        if error is not None and not stop.is_set():
            on_failure(error, state.next_action.sleep if state.next_action else 0.0)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_not_exception_type((*final, Stopped)),
        wait=tenacity.wait_random_exponential(multiplier=RECONNECT_INITIAL, max=RECONNECT_MAXIMUM),
        stop=tenacity.stop_when_event_set(stop),
        sleep=tenacity.sleep_using_event(stop),
        before_sleep=heard,
        reraise=True,
    )

    def once() -> T:
        if stop.is_set():
            raise Stopped
        return connect()

    try:
        return retrying(once)
    except final:
        raise
    except Exception:
        if stop.is_set():
            raise Stopped from None
        raise
