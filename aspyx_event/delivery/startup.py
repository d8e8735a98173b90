"""The steps of ``EventManager.start()``."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Callable, Optional, TypeVar

from aspyx_event.delivery.dispatcher import Dispatcher, DispatcherSettings
from aspyx_event.delivery.process import connecting
from aspyx_event.delivery.reports import Reports
from aspyx_event.delivery.sender import Sender
from aspyx_event.delivery.topology import declarations
from aspyx_event.delivery.wiring import concurrency_of, unmet
from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import ConfigurationError, ProviderUnavailable
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Provider, Target
from aspyx_event.registry import EventRegistry
from aspyx_event.timing import Deadline
from aspyx_event.topology import Difference, MissingResources

logger = logging.getLogger(__name__)

PARALLEL = 8
"""Queues that are declared and attached at a time."""
_UNDOING = 1.0
"""Seconds for a goodbye after a failed start, if its time is not over."""

_T = TypeVar("_T", bound=Target)


class Startup:
    """One start of a manager: connect, declare, attach. What fails is undone."""

    def __init__(
        self, provider: Provider, registry: EventRegistry, settings: DispatcherSettings, *, strict: bool
    ) -> None:
        self._provider = provider
        self._registry = registry
        self._settings = settings
        self._strict = strict
        self._dispatcher: Optional[Dispatcher] = None
        self._reports = Reports(provider, settings.exceptions)
        self._unwatch: Callable[[], None] = lambda: None

    def run(self, *, timeout: float, listen: bool) -> tuple[Sender, Optional[Dispatcher]]:
        """The parts of a running manager. Raises what the provider raises, within ``timeout`` seconds."""
        deadline = Deadline(timeout)
        for event in self._registry.events:
            self._settings.codec.prepare(event)
        pipelines = self._registry.pipelines()
        targets = {}
        if listen:
            targets = {listener: self._registry.instance(listener.target) for listener in self._registry.listeners}
            self._dispatcher = self._reports.dispatcher = Dispatcher(
                self._provider,
                self._settings,
                pipelines=pipelines,
                known_events=self._event_names,
            )
        try:
            with connecting():
                self._provider.start(self._reports.on_state, timeout=timeout)
                self._declare_and_attach(targets, deadline)
            if self._dispatcher is not None:
                self._unwatch = self._registry.watch(_too_late)
            self._warn()
        except BaseException:
            self._undo(min(_UNDOING, _left(deadline)))
            raise
        return Sender(self._provider, self._registry, self._settings.codec, pipelines=pipelines), self._dispatcher

    def _event_names(self) -> list[str]:
        return [event.name for event in self._registry.events]

    def _declare_and_attach(self, targets: Mapping[EventListenerDescriptor, Any], deadline: Deadline) -> None:
        """Where nothing may be created, all that is missing is found before one error names it."""
        absent: list[Difference] = []
        with _Helpers(absent) as helpers:
            for group in declarations(self._provider, self._registry):
                helpers.each("declaring", group, lambda target: self._provider.declare(target, timeout=_left(deadline)))
            dispatcher = self._dispatcher
            if absent or dispatcher is None:
                passing = [listener for listener in targets if not listener.durable]
                helpers.each(
                    "declaring", passing, lambda listener: self._provider.declare(listener, timeout=_left(deadline))
                )
            else:
                workers = self._settings.workers
                for listener, target in targets.items():
                    concurrency = concurrency_of(listener, workers=workers, listeners=len(targets))
                    dispatcher.add(listener, target, concurrency=concurrency)
                helpers.each(
                    "attaching", targets, lambda listener: dispatcher.attach(listener, timeout=_left(deadline))
                )
        if absent:
            raise MissingResources(absent)

    def _warn(self) -> None:
        findings = [
            *unmet(self._provider.capabilities, self._registry.listeners, self._settings.policy),
            *self._provider.findings(),
        ]
        if not findings:
            return
        text = f"{self._provider!r}: " + "; ".join(findings)
        if self._strict:
            raise ConfigurationError(text)
        logger.warning("%s", text)

    def _undo(self, timeout: float) -> None:
        """Leave nothing behind. What goes wrong here must not hide what went wrong before."""
        steps: list[Callable[[], Any]] = [lambda: self._provider.stop(timeout=timeout), lambda: self.close(1.0)]
        if self._dispatcher is not None:
            steps.insert(0, functools.partial(self._dispatcher.stop, Deadline(timeout)))
        for step in steps:
            try:
                step()
            except Exception:
                logger.exception("after a failed start, something could not be stopped")

    def close(self, timeout: float) -> None:
        """After the provider's end: no more reports to the exception handlers."""
        self._unwatch()
        self._reports.close(timeout)


class _Helpers:
    """Threads for conversations with the broker: hundreds, one after the other, would take longer than a start may."""

    def __init__(self, absent: list[Difference]) -> None:
        self._executor = ThreadPoolExecutor(PARALLEL, thread_name_prefix="aspyx-start")
        self._absent = absent

    def each(self, doing: str, things: Iterable[_T], work: Callable[[_T], None]) -> None:
        """Do it for all; what is missing is noted. Raises the first error, in the order of the things.

        ``doing`` begins the error for a broker that cannot be reached, or says nothing: no other names the thing.
        """
        pending = [(thing, self._executor.submit(work, thing)) for thing in things]
        for thing, one in pending:
            try:
                one.result()
            except MissingResources as error:
                self._absent.extend(error.differences)
            except ProviderUnavailable as error:
                raise ProviderUnavailable(f"{doing} {_named(thing)}: {error}") from error

    def __enter__(self) -> _Helpers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        patient = error is None or isinstance(error, Exception)  # not when somebody presses Ctrl-C
        self._executor.shutdown(wait=patient, cancel_futures=True)


def _named(target: Target) -> str:
    if isinstance(target, str):
        return f"queue {target!r}"
    return f"{'event' if isinstance(target, EventDescriptor) else 'listener'} {target.name!r}"


def _too_late(listener: EventListenerDescriptor) -> None:
    logger.warning(
        "listener %s is registered after start(): it gets no events before the manager is started again", listener.name
    )


def _left(deadline: Deadline) -> float:
    return deadline.left() or 0.0
