"""Connections to the database are closed around each event, as Django does around each request."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from aspyx_event import (
    EventManager,
    EventRegistry,
    ExceptionManager,
    Outcome,
    Result,
    RetryPolicy,
    catch,
    event_listener,
)
from aspyx_event.integrations.django import state
from aspyx_event.integrations.django.database import DatabaseConnections, close_after, close_kept
from tests.integrations.django.shop.orders.events import OrderPlaced
from tests.integrations.django.shop.orders.models import Order

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "archive"])
PATIENCE = 30.0
OPEN: queue.SimpleQueue[Any] = queue.SimpleQueue()
"""The connections of workers, as they were open during an event."""


@event_listener(OrderPlaced, retry=RetryPolicy(immediate=0, delayed=()))
def storing(event: OrderPlaced) -> None:
    """Uses the database in the worker's thread."""
    Order.objects.create(number=event.number)
    assert connections["default"].connection is not None
    OPEN.put(connections["default"])
    if event.number < 0:
        raise ValueError("as it was told")


@event_listener(OrderPlaced, retry=RetryPolicy(immediate=0, delayed=()))
async def storing_async(event: OrderPlaced) -> None:
    """Uses the database by the ORM's async methods."""
    await Order.objects.acreate(number=event.number)
    OPEN.put(await sync_to_async(lambda: connections["default"])())


class Complaints(ExceptionManager):
    """Uses the database after the attempt."""

    @catch()
    def noted(self, error: ValueError) -> None:
        """Called in the worker's thread."""
        OPEN.put(connections["default"])
        assert Order.objects.count() == 1, error


@contextmanager
def outcomes_of(
    *things: Any, exceptions: ExceptionManager | None = None, workers: int | None = None
) -> Iterator[tuple[EventManager, Any]]:
    """A manager as the app makes it, with these listeners; and what comes of its events."""
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    registry = EventRegistry().register(DatabaseConnections, *things)
    observers = [close_after, outcomes.put]
    with EventManager("local://", exceptions, registry=registry, observers=observers, workers=workers) as manager:
        yield manager, lambda: outcomes.get(timeout=PATIENCE)


@pytest.mark.parametrize("listener", [storing, storing_async], ids=["sync", "async"])
def test_a_connection_is_closed_after_its_event(listener: Any) -> None:
    """With CONN_MAX_AGE=0 no connection outlives its event, in whatever thread it was opened."""
    with outcomes_of(listener) as (manager, outcome):
        for number in (1, 2):
            manager.send_event(OrderPlaced(number))
            assert outcome().result is Result.HANDLED
            assert OPEN.get(timeout=PATIENCE).connection is None
    assert Order.objects.count() == 2


def test_a_failure_closes_as_well() -> None:
    """A listener that raises leaves no connection behind, nor does a handler of exceptions after it."""
    exceptions = Complaints()
    exceptions.collect_handlers(exceptions)
    with outcomes_of(storing, exceptions=exceptions) as (manager, outcome):
        manager.send_event(OrderPlaced(-1))
        assert outcome().result is Result.DEAD_LETTERED
        for _ in ("listener", "handler"):
            assert OPEN.get(timeout=PATIENCE).connection is None


def test_a_connection_lives_as_long_as_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until CONN_MAX_AGE is over, the next event of a worker finds its connection open."""
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", 3600)
    natives = []
    with outcomes_of(storing, workers=1) as (manager, outcome):
        for number in range(4):
            manager.send_event(OrderPlaced(number))
            assert outcome().result is Result.HANDLED
            wrapper = OPEN.get(timeout=PATIENCE)
            natives.append(wrapper.connection)
            if number == 2:
                wrapper.close_at = 0  # its time is over: the next event closes it, and the one that it opens as well
                monkeypatch.setitem(wrapper.settings_dict, "CONN_MAX_AGE", 0)
    assert natives[0] is not None
    assert natives == [natives[0]] * 3 + [None]


def test_kept_connections_are_closed_with_the_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker keeps for its next event is closed when there is none any more, though its thread is gone."""
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", None)
    with outcomes_of(storing) as (manager, outcome):
        manager.send_event(OrderPlaced(1))
        assert outcome().result is Result.HANDLED
        wrapper = OPEN.get(timeout=PATIENCE)
    assert wrapper.connection is not None
    close_kept()
    assert wrapper.connection is None
    assert Order.objects.count() == 1, "this thread's own connection is another one"


def test_async_listeners_do_not_wait_for_each_other() -> None:
    """Each event has a thread of its own for what is run by sync_to_async: two of them can meet in it."""
    meeting = threading.Barrier(2)

    @event_listener(OrderPlaced, name="Meeting", retry=RetryPolicy(immediate=0, delayed=()))
    async def meet(event: OrderPlaced) -> None:
        await sync_to_async(meeting.wait)(PATIENCE)

    with outcomes_of(meet) as (manager, outcome):
        manager.send_events([OrderPlaced(1), OrderPlaced(2)])
        assert [outcome().result for _ in range(2)] == [Result.HANDLED] * 2


def test_the_app_registers_it() -> None:
    """The manager that the app makes has it as its outermost pipeline, and as its last observer."""
    manager = state.get_manager()
    assert isinstance(manager.registry.pipelines()[0], DatabaseConnections)
    assert manager._settings.observers[-1] is close_after
