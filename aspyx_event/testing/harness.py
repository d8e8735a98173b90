"""A manager for tests: everything in process, time on demand, and a record of what happened."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Optional, TypeVar, Union

from aspyx_event.delivery.dispatcher import StopResult
from aspyx_event.envelope import Envelope
from aspyx_event.events import event_declaration, place
from aspyx_event.exception_manager import ExceptionManager
from aspyx_event.listeners import listener_declaration
from aspyx_event.manager import EventManager
from aspyx_event.pipeline import pipeline_declaration
from aspyx_event.registry import EventRegistry
from aspyx_event.retry import RetryPolicy
from aspyx_event.testing.clock import PATIENCE, ManualClock
from aspyx_event.testing.failures import FailedEvent, HarnessError, HarnessFailure, StillBusy
from aspyx_event.testing.recording import RecordingPipeline, RecordingProvider, Records
from aspyx_event.timing import Deadline

T = TypeVar("T")


class EventHarness:
    """A started EventManager on a LocalProvider of its own, for one test. A context manager.

    ::

        with EventHarness(Billing(fake_bank)) as harness:
            harness.send(OrderPlaced(1, 9.5))
            harness.wait_idle()
            assert harness.sent(Receipt) == [Receipt(1)]

    things: classes, functions and ready instances, as for ``EventRegistry.register``. A listener takes the place of the
        one of its name in ``registry``.
    registry: the application's. The harness works on a copy, and changes nothing in it.
    retry, workers, exception_manager: as for EventManager; 4 workers by default.
    clock: a ManualClock, by default a new one. ``advance`` moves it, and so does ``wait_idle``.
    raise_errors: False leaves it to the test to look at ``errors``.

    At the end of the ``with`` block running listeners finish; then HarnessFailure is raised for each event that a
    listener failed on, unless the test has looked at ``errors`` since. Thread-safe.
    """

    def __init__(
        self,
        *things: Any,
        registry: Optional[EventRegistry] = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        workers: int = 4,
        exception_manager: Optional[ExceptionManager] = None,
        clock: Optional[ManualClock] = None,
        raise_errors: bool = True,
    ) -> None:
        self.clock = clock or ManualClock()
        self._records = Records()
        self.registry = _filled(registry, things).register(RecordingPipeline(self._records))
        self.provider = RecordingProvider(self._records, clock=self.clock)
        self.manager = EventManager(
            self.provider,
            exception_manager,
            registry=self.registry,
            retry=retry,
            workers=workers,
            observers=[self._records.observe],
            clock=self.clock,
        )
        self._raise_errors = raise_errors
        self._lock = threading.Lock()
        self._state = "new"
        self._looked_at = 0

    # -- life

    def start(self) -> EventHarness:
        """What ``with`` does at its beginning, for a setUp. Raises what ``EventManager.start`` raises, HarnessError the
        second time."""
        with self._lock:
            if self._state != "new":
                raise HarnessError(f"this harness is {self._state} already: make a new one for each test")
            self._state = "started"
        self.manager.start()
        return self

    def stop(self, timeout: float = PATIENCE) -> StopResult:
        """What ``with`` does at its end, for a tearDown: lets running listeners finish, stops, raises HarnessFailure.

        HarnessError when listeners do not return within ``timeout`` seconds. Stopping again does nothing.
        """
        if not self._closed():
            return StopResult()
        try:
            with self._naming_the_busy(timeout):
                self.clock.advance(0, timeout=timeout)
        finally:
            result = self.manager.stop(timeout)
        failures = self._failures() if self._raise_errors else ()
        if failures:
            raise HarnessFailure(failures) from failures[0].error
        return result

    def __enter__(self) -> EventHarness:
        return self.start()

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if error is None:
            self.stop()
        elif self._closed():
            self.manager.stop(PATIENCE)
            failures = self._failures()
            if failures and error.__cause__ is None and error.__context__ is None:
                error.__cause__ = failures[0].error  # why the test failed is more often there than in its assertion

    def _closed(self) -> bool:
        with self._lock:
            before, self._state = self._state, "stopped"
        return before == "started"

    # -- doing

    def send(
        self,
        event: Any,
        *,
        headers: Optional[Mapping[str, str]] = None,
        key: Optional[str] = None,
        delay: Optional[float] = None,
        ttl: Optional[float] = None,
        id: Optional[str] = None,
    ) -> None:
        """``manager.send_event``. HarnessError when the harness is not started."""
        self._check_started("send()")
        self.manager.send_event(event, headers=headers, key=key, delay=delay, ttl=ttl, id=id)

    def advance(self, seconds: float, *, timeout: float = PATIENCE) -> None:
        """Let time pass, at once, with everything that falls due in it. See ``ManualClock.advance``."""
        self._check_started("advance()")
        with self._naming_the_busy(timeout):
            self.clock.advance(seconds, timeout=timeout)

    def wait_idle(self, timeout: float = PATIENCE, *, advance: bool = True) -> None:
        """Wait until there is nothing left to do: every event is handled, or in the error queue.

        The clock jumps to each delayed event and retry; with ``advance=False`` it stands, and those stay where they
        are. Raises HarnessError after ``timeout`` real seconds, which names the listeners that are busy.
        """
        self._check_started("wait_idle()")
        deadline = Deadline(timeout)
        with self._naming_the_busy(timeout):
            self.clock.advance(0, timeout=timeout)
            while advance and self.clock.jump(timeout=deadline.left() or 0.0):
                if deadline.passed:
                    raise StillBusy

    @contextlib.contextmanager
    def _naming_the_busy(self, timeout: float) -> Iterator[None]:
        try:
            yield
        except StillBusy:
            listeners = self.manager.health().listeners
            busy = [f"{name} ({one.in_flight})" for name, one in listeners.items() if one.in_flight]
            raise HarnessError(
                f"after {timeout:g} s there is still something to do, here: {', '.join(busy) or 'between listeners'}; "
                "does one wait for what the test does later, or do they send each other events for ever?"
            ) from None

    def _check_started(self, call: str) -> None:
        if self._state != "started":
            raise HarnessError(f"{call}: the harness is {self._state}; use it in a with block, or call start()")

    # -- looking

    def sent(self, event_type: type[T]) -> list[T]:
        """The events of this type that were sent, by the test and by listeners, in order; none that a pipeline kept."""
        return [envelope.event for envelope in self.envelopes(event_type)]

    def envelopes(self, event_type: type) -> list[Envelope]:
        """The envelopes of what ``sent`` answers: their ids, keys and headers."""
        if event_declaration(event_type) is None:
            raise HarnessError(f"{event_type!r} is not an event: give the class that is decorated with @event()")
        return self._records.sent(event_type)

    def handled(self, listener: Union[str, Any]) -> list[Any]:
        """The events that a listener handled without an error, in the order in which it ended.

        listener: its class, its function, an instance, or its name. HarnessError for one that is not here.
        """
        name = _name_of(listener)
        names = [known.name for known in self.registry.listeners]
        if name not in names:
            raise HarnessError(f"no listener {name!r} is in this harness: the names are {sorted(names)}")
        return self._records.handled(name)

    @property
    def errors(self) -> tuple[FailedEvent, ...]:
        """The events that went to the error queue, with their exceptions. Those that a test has seen here are not
        raised at its end."""
        found = self._records.dead
        with self._lock:
            self._looked_at = max(self._looked_at, len(found))
        return found

    def _failures(self) -> tuple[FailedEvent, ...]:
        """What nobody has looked at."""
        return (*self._records.dead[self._looked_at :], *self._records.retrying)

    def __repr__(self) -> str:
        return f"<EventHarness {self._state} {self.registry!r} {self.clock!r}>"


def _filled(registry: Optional[EventRegistry], things: tuple[Any, ...]) -> EventRegistry:
    """The application's registry with things in the place of its own, without touching it."""
    if registry is not None and not isinstance(registry, EventRegistry):
        raise HarnessError(f"EventHarness(registry={registry!r}): give an EventRegistry")
    filled = registry.copy() if registry is not None else EventRegistry()
    for thing in things:
        known = {listener.name for listener in filled.listeners}
        if _declared_name(thing) in known:
            filled.replace(thing)
        else:
            filled.register(thing)
    return filled


def _declared_name(thing: Any) -> Optional[str]:
    origin = thing if isinstance(thing, type) or listener_declaration(thing) else type(thing)
    declaration = listener_declaration(origin)
    return declaration.name if declaration and pipeline_declaration(origin) is None else None


def _name_of(listener: Any) -> str:
    if isinstance(listener, str):
        return listener
    name = _declared_name(listener)
    if name is None:
        raise HarnessError(
            f"{place(listener) if hasattr(listener, '__qualname__') else repr(listener)} is not a listener: give what "
            "is decorated with @event_listener, or its name"
        )
    return name
