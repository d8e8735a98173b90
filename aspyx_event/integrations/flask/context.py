"""The application context around listeners and exception handlers."""

from __future__ import annotations

import logging
import sys

from flask import Flask

from aspyx_event.envelope import Envelope
from aspyx_event.exception_manager import ExceptionManager
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.pipeline import EnvelopePipeline, envelope_pipeline

logger = logging.getLogger(__name__)


@envelope_pipeline(order=-sys.maxsize)
class AppContextPipeline(EnvelopePipeline):
    """Pushes an application context for each attempt, around all other pipelines.

    Async listeners see it too: their coroutine runs in a copy of the attempt's ``contextvars`` context. The functions
    of ``teardown_appcontext`` run after each attempt, with what it raised.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app

    def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> None:
        """Go on within the context."""
        with self._app.app_context():
            self.proceed_handle(envelope, event_listener_descriptor)


class AppContextExceptions(ExceptionManager):
    """Calls its handlers within an application context of their own."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self._app = app

    def handle(self, exception: BaseException) -> BaseException:
        """As ExceptionManager, which never raises; what a teardown function of the application raises is logged."""
        if not self._handlers:
            return exception
        result = exception
        try:
            with self._app.app_context():
                result = super().handle(exception)
        except Exception:
            logger.exception("the application context around an exception handler did not end well")
        return result
