"""The extension in one process, on ``local://``."""

from __future__ import annotations

import asyncio
import queue
from typing import Any

import pytest
from flask import Flask, current_app

from aspyx_event import ConfigurationError, EventManager, EventRegistry, RetryPolicy, catch, event_listener
from aspyx_event.integrations.flask import AppEvents, AspyxEvent
from aspyx_event.testing import EventHarness
from tests.integrations.flask.conftest import Factory
from tests.integrations.flask.shop import OrderPlaced, OrderShipped, events

PATIENCE = 60.0


def seen(app: Flask, count: int) -> list[Any]:
    """What the listeners of an application noted, in no particular order."""
    notes: queue.Queue[Any] = app.config["SEEN"]
    return sorted(notes.get(timeout=PATIENCE) for _ in range(count))


def of(app: Flask) -> AppEvents:
    found = app.extensions["aspyx_event"]
    assert isinstance(found, AppEvents)
    return found


def test_a_request_sends_and_listeners_have_an_application_context(make_app: Factory) -> None:
    """What a view sends is handled in a context of its application, sync and async, which is torn down afterwards."""
    app = make_app()
    assert not of(app).lazy.started
    assert app.test_client().post("/orders/7").text == "placed"
    assert seen(app, 4) == [
        ("billing", "shop", 7),
        ("shipping", "shop", 7),
        ("teardown", "order", 7, "NoneType"),
        ("teardown", "shipped", 7, "NoneType"),
    ]


def test_an_async_view_sends(make_app: Factory) -> None:
    """``await events.send_event_async`` connects and sends from a coroutine."""
    pytest.importorskip("asgiref")
    app = make_app()
    assert app.test_client().post("/async/8").text == "placed"
    assert ("shipping", "shop", 8) in seen(app, 2)


def test_a_coroutine_of_ones_own_sends(make_app: Factory) -> None:
    """It needs no more than an application context."""
    app = make_app()
    with app.app_context():
        asyncio.run(events.send_event_async(OrderShipped(9)))
    assert ("shipping", "shop", 9) in seen(app, 2)


def test_each_attempt_has_a_context_that_sees_its_error(make_app: Factory) -> None:
    """A failing attempt is torn down with its error, and the next one begins in a fresh context."""
    app = make_app(ASPYX_EVENT={"URL": "local://", "RETRY": {"immediate": 1, "immediate_wait": [0], "delayed": []}})
    attempts: list[bool] = []
    errors: queue.Queue[Any] = queue.Queue()

    @event_listener(OrderPlaced)
    def failing(event: OrderPlaced) -> None:
        from flask import g

        attempts.append("tried" in g)
        g.tried = True
        raise ValueError("no")

    @app.teardown_appcontext
    def note(error: Any) -> None:
        if error is not None:
            errors.put(type(error))

    of(app).registry.register(failing)
    with app.app_context():
        events.send_event(OrderPlaced(1))
    assert [errors.get(timeout=PATIENCE) for _ in range(2)] == [ValueError, ValueError]
    assert attempts == [False, False]


def test_exception_handlers_have_a_context(make_app: Factory) -> None:
    """A ``@catch()`` handler of the settings sees the application."""
    found: queue.Queue[str] = queue.Queue()

    class Handlers:
        @catch()
        def any(self, error: ValueError) -> None:
            found.put(f"{current_app.name}: {error}")

    @event_listener(OrderShipped)
    def broken(event: OrderShipped) -> None:
        raise ValueError("broken")

    retry = RetryPolicy(immediate=0, delayed=())
    app = make_app(ASPYX_EVENT={"URL": "local://", "EXCEPTION_HANDLERS": Handlers, "REGISTER": broken, "RETRY": retry})
    with app.app_context():
        events.send_event(OrderShipped(1))
    assert found.get(timeout=PATIENCE) == "shop: broken"


def test_applications_of_one_process_know_nothing_of_each_other(make_app: Factory) -> None:
    """Two applications have registries and managers of their own; ``current_app`` decides, also inside listeners."""
    one, two = make_app("one"), make_app("two", ASPYX_EVENT={"URL": "local://", "PREFIX": "two"})
    with one.app_context():
        first = events.manager, events.registry
        with two.app_context():
            second = events.manager, events.registry
            events.send_event(OrderPlaced(2))
        events.send_event(OrderPlaced(1))
    assert first[0] is not second[0]
    assert first[1] is not second[1]
    assert first[0].registry is first[1]
    assert second[0].provider.error_queue == "two.error"
    assert seen(one, 4)[:2] == [("billing", "one", 1), ("shipping", "one", 1)]
    assert seen(two, 4)[:2] == [("billing", "two", 2), ("shipping", "two", 2)]


def test_settings_may_be_single_keys(make_app: Factory) -> None:
    """``ASPYX_EVENT_...`` keys, as ``from_prefixed_env`` sets them, are the same settings; twice is an error."""
    app = make_app(ASPYX_EVENT={}, ASPYX_EVENT_URL="local://", ASPYX_EVENT_PREFIX="single")
    assert of(app).manager.provider.error_queue == "single.error"
    with pytest.raises(ConfigurationError, match=r"ASPYX_EVENT_URL and ASPYX_EVENT\['URL'\]: leave one"):
        make_app(ASPYX_EVENT={"URL": "local://"}, ASPYX_EVENT_URL="local://")


def test_settings_may_come_from_the_environment(make_app: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """``from_prefixed_env`` reads ``FLASK_ASPYX_EVENT_...``; numbers and lists are JSON."""
    monkeypatch.setenv("FLASK_ASPYX_EVENT_URL", "local://")
    monkeypatch.setenv("FLASK_ASPYX_EVENT_SEND_TIMEOUT", "2.5")
    monkeypatch.setenv("FLASK_ASPYX_EVENT_SCAN", '["tests.integrations.flask.shop"]')
    app = Flask("environment")
    app.config.from_prefixed_env()
    AspyxEvent(app)
    assert of(app).settings.send_timeout == 2.5
    assert {listener.name for listener in of(app).registry.listeners} == {"Billing", "shipping"}


def test_wrong_settings_end_init_app(make_app: Factory) -> None:
    """``init_app`` names what is wrong, and what was probably meant."""
    with pytest.raises(ConfigurationError, match="'WORKRS'; did you mean 'WORKERS'"):
        make_app(ASPYX_EVENT={"URL": "local://"}, ASPYX_EVENT_WORKRS=3)


def test_wrong_use_says_what_to_do(make_app: Factory) -> None:
    """No context, no ``init_app``, and ``init_app`` twice, are each an error with the way out."""
    with pytest.raises(ConfigurationError, match=r"with app.app_context\(\)"):
        events.send_event(OrderPlaced(1))
    with Flask("bare").app_context(), pytest.raises(ConfigurationError, match=r"call AspyxEvent.init_app\(app\)"):
        events.send_event(OrderPlaced(1))
    app = make_app()
    with pytest.raises(ConfigurationError, match="'shop': once is enough"):
        AspyxEvent(app)


def test_what_cannot_be_imported_is_named_where_it_is_needed(make_app: Factory) -> None:
    """A module of SCAN that is not there ends the first send with its name, and not the making of the application."""
    app = make_app(ASPYX_EVENT={"URL": "local://", "SCAN": ["no_such_shop"]})
    with app.app_context(), pytest.raises(ConfigurationError, match="no_such_shop"):
        events.send_event(OrderPlaced(1))


def test_a_test_may_put_its_own_manager_in_place(make_app: Factory) -> None:
    """``replaced_by`` lets a test see what a view sends."""
    app = make_app()
    caught: queue.Queue[OrderPlaced] = queue.Queue()

    @event_listener(OrderPlaced)
    def catcher(event: OrderPlaced) -> None:
        caught.put(event)

    manager = EventManager("local://", registry=EventRegistry().register(catcher))
    with app.app_context():
        replaced = events.replaced_by(manager)
    with manager, replaced:
        app.test_client().post("/orders/3")
        assert caught.get(timeout=PATIENCE) == OrderPlaced(3)
    assert not of(app).lazy.started


def test_a_harness_has_the_listeners_of_the_application(make_app: Factory) -> None:
    """EventHarness with the application's registry runs its listeners, in its context, for what its views send."""
    app = make_app()
    with app.app_context():
        harness = EventHarness(registry=events.registry)
        replaced = events.replaced_by(harness.manager)
    with harness, replaced:
        assert app.test_client().post("/orders/3").status_code == 200
        harness.wait_idle()
        assert harness.handled("Billing") == [OrderPlaced(3)]
        assert harness.sent(OrderShipped) == [OrderShipped(3)]
    assert ("billing", "shop", 3) in seen(app, 4)
    assert not of(app).lazy.started


def test_start_and_stop_by_hand(make_app: Factory) -> None:
    """``start(listen=...)`` comes before the first send, and ``stop`` ends it."""
    app = make_app()
    with app.app_context():
        manager = events.start(listen=False)
        assert manager.health().ready
        assert dict(manager.health().listeners) == {}
        events.stop()
        assert not manager.health().live
