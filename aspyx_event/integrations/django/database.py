"""Database connections around events, as Django has them around requests."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.db import close_old_connections, connections, reset_queries

from aspyx_event.delivery.outcome import Outcome
from aspyx_event.envelope import Envelope
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.pipeline import EnvelopePipeline, envelope_pipeline


@envelope_pipeline(order=-sys.maxsize)
class DatabaseConnections(EnvelopePipeline):
    """Closes what is broken or older than CONN_MAX_AGE, in the worker's thread, before and after each attempt."""

    def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> None:
        """See EnvelopePipeline."""
        reset_queries()
        close_old_connections()
        try:
            with _thread_for_coroutines():
                self.proceed_handle(envelope, event_listener_descriptor)
        finally:
            _close_old()


def close_after(_outcome: Outcome) -> None:
    """An observer, the last one: exception handlers and other observers may have used the database as well."""
    _close_old()


_kept: dict[int, Any] = {}
"""By id: the connections that workers keep open for their next event, by CONN_MAX_AGE."""


def _close_old() -> None:
    close_old_connections()
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None and not connection.in_atomic_block:
            _kept[id(connection)] = connection
        else:
            _kept.pop(id(connection), None)


def close_kept() -> None:
    """After the end of the manager: its threads are gone, and nobody else would close what they kept."""
    while _kept:
        _, connection = _kept.popitem()
        connection.inc_thread_sharing()
        connection.close()


@contextlib.contextmanager
def _thread_for_coroutines() -> Iterator[None]:
    """Give what an async listener runs by ``sync_to_async``, the ORM above all, a thread of this event's own.

    Django's ASGI handler does so for each request. Otherwise all async listeners would share one thread. It ends with
    the event, and so do its connections, whatever CONN_MAX_AGE says.
    """
    context = ThreadSensitiveContext()
    token = SyncToAsync.thread_sensitive_context.set(context)
    try:
        yield
    finally:
        SyncToAsync.thread_sensitive_context.reset(token)
        executor: Executor | None = SyncToAsync.context_to_thread_executor.pop(context, None)
        if executor is not None:  # there is none unless something was run in it
            with executor:
                executor.submit(connections.close_all)
