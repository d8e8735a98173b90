"""The steps of ``EventManager.start()``."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator, Mapping
from typing import Any, Callable, Optional

from aspyx_event.delivery.dispatcher import Dispatcher, DispatcherSettings
from aspyx_event.delivery.process import connecting
from aspyx_event.delivery.reports import Reports
from aspyx_event.delivery.sender import Sender
from aspyx_event.delivery.topology import declarations
from aspyx_event.delivery.wiring import unmet
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Provider
from aspyx_event.registry import EventRegistry
from aspyx_event.timing import Deadline
from aspyx_event.topology import Difference, MissingResources

logger = logging.getLogger(__name__)


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
            self._undo()
            raise
        return Sender(self._provider, self._registry, self._settings.codec, pipelines=pipelines), self._dispatcher

    def _event_names(self) -> list[str]:
        return [event.name for event in self._registry.events]

    def _declare_and_attach(self, targets: Mapping[EventListenerDescriptor, Any], deadline: Deadline) -> None:
        """Where nothing may be created, all that is missing is found before one error names it."""
        absent: list[Difference] = []
        for target in declarations(self._provider, self._registry):
            with _noting(absent):
                self._provider.declare(target, timeout=_left(deadline))
        incomplete = bool(absent)
        for listener, target in targets.items():
            with _noting(absent):
                if not incomplete and self._dispatcher is not None:
                    self._dispatcher.attach(listener, target, timeout=_left(deadline))
                elif not listener.durable:
                    self._provider.declare(listener, timeout=_left(deadline))
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

    def _undo(self) -> None:
        """Leave nothing behind. What goes wrong here must not hide what went wrong before."""
        steps: list[Callable[[], Any]] = [lambda: self._provider.stop(timeout=1.0), lambda: self.close(1.0)]
        if self._dispatcher is not None:
            steps.insert(0, functools.partial(self._dispatcher.stop, Deadline(1.0)))
        for step in steps:
            try:
                step()
            except Exception:
                logger.exception("after a failed start, something could not be stopped")

    def close(self, timeout: float) -> None:
        """After the provider's end: no more reports to the exception handlers."""
        self._unwatch()
        self._reports.close(timeout)


@contextlib.contextmanager
def _noting(absent: list[Difference]) -> Iterator[None]:
    try:
        yield
    except MissingResources as error:
        absent.extend(error.differences)


def _too_late(listener: EventListenerDescriptor) -> None:
    logger.warning(
        "listener %s is registered after start(): it gets no events before the manager is started again", listener.name
    )


def _left(deadline: Deadline) -> float:
    return deadline.left() or 0.0
