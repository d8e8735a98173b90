"""The blueprint with the health checks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from aspyx_event import ProviderError, event_listener
from aspyx_event.integrations.flask import health_blueprint
from aspyx_event.testing.proxy import TcpProxy
from tests.faults.waiting import wait_until
from tests.integrations.flask.conftest import Factory
from tests.integrations.flask.shop import OrderShipped, events

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker


def test_a_process_that_sent_nothing_is_idle_until_it_is_asked_whether_it_is_ready(make_app: Factory) -> None:
    """``/health`` connects to nothing; ``/health/ready`` does, and then all of them say so."""
    app = make_app()
    web = app.test_client()
    assert (web.get("/health").status_code, web.get("/health").get_json()["status"]) == (200, "idle")
    assert web.get("/health/live").get_json() == {"status": "idle", "live": True}
    ready = web.get("/health/ready")
    assert (ready.status_code, ready.get_json()) == (200, {"status": "ok", "ready": True})
    found = web.get("/health").get_json()
    assert (found["status"], found["live"], found["ready"]) == ("ok", True, True)
    assert set(found["listeners"]) == {"Billing", "shipping"}
    assert found["listeners"]["Billing"]["state"] == "running"


def test_after_its_end_it_is_down(make_app: Factory) -> None:
    """A manager that was stopped makes all three answer 503, and none of them starts it again."""
    app = make_app()
    web = app.test_client()
    assert web.get("/health/ready").status_code == 200
    with app.app_context():
        events.stop()
    assert [web.get(path).status_code for path in ("/health", "/health/live", "/health/ready")] == [503, 503, 503]
    assert web.get("/health/ready").get_json() == {"status": "down", "ready": False}


def test_a_broker_that_is_away(make_app: Factory) -> None:
    """``/health/ready`` answers 503 with the kind of the error, within its own timeout; the process stays alive."""
    pytest.importorskip("stomp")
    app = make_app(ASPYX_EVENT={"URL": "stomp://127.0.0.1:9/"})
    app.register_blueprint(health_blueprint("quick", timeout=0.5), url_prefix="/quick")
    web = app.test_client()
    answer = web.get("/quick/health/ready")
    assert answer.status_code == 503
    assert answer.get_json() == {"status": "idle", "ready": False, "reason": "ProviderUnavailable"}
    assert web.get("/quick/health/live").status_code == 200


def test_what_cannot_be_made_is_down(make_app: Factory) -> None:
    """Where the manager cannot be made, the answer is 503 and not a page with a traceback."""
    app = make_app(ASPYX_EVENT={"URL": "local://", "SCAN": "no_such_shop"})
    web = app.test_client()
    assert web.get("/health").status_code == 503
    assert web.get("/health/ready").get_json() == {"status": "down", "ready": False, "reason": "ConfigurationError"}


def test_texts_of_errors_are_shown_on_request_only(make_app: Factory) -> None:
    """``last_error`` may hold what events hold: it is there with ``details=True`` alone."""
    failed = threading.Event()

    @event_listener(OrderShipped)
    def broken(event: OrderShipped) -> None:
        raise ValueError("card 4711")

    app = make_app(
        ASPYX_EVENT={
            "URL": "local://",
            "REGISTER": broken,
            "RETRY": {"immediate": 0, "delayed": []},
            "OBSERVERS": lambda outcome: failed.set() if outcome.listener == "broken" else None,
        }
    )
    app.register_blueprint(health_blueprint("internal", details=True), url_prefix="/internal")
    with app.app_context():
        events.send_event(OrderShipped(1))
    assert failed.wait(60)
    web = app.test_client()
    assert "4711" not in web.get("/health").text
    assert web.get("/health").get_json()["listeners"]["broken"]["dead_lettered"] == 1
    assert web.get("/internal/health").get_json()["listeners"]["broken"]["last_error"] == "ValueError: card 4711"


@pytest.mark.artemis
def test_a_broker_that_goes_away_and_comes_back(make_app: Factory, request: pytest.FixtureRequest) -> None:
    """Without its connection a process is alive and not ready, and a send is an error; with a new one it is ready."""
    pytest.importorskip("proton")
    artemis: ArtemisBroker = request.getfixturevalue("artemis")
    with TcpProxy("127.0.0.1", artemis.start().amqp_port) as proxy:
        app = make_app(
            ASPYX_EVENT={
                "URL": f"amqp://127.0.0.1:{proxy.port}/?prefix=flask-health",
                "USER": artemis.user,
                "PASSWORD": artemis.password,
                "SEND_TIMEOUT": 20,
            }
        )
        web = app.test_client()
        assert web.get("/health/ready").status_code == 200
        proxy.cut(refuse=True)
        wait_until(lambda: web.get("/health/ready").status_code == 503, "not ready")
        assert web.get("/health/live").get_json() == {"status": "down", "live": True}
        assert web.get("/health").status_code == 503
        with app.app_context(), pytest.raises(ProviderError):
            events.send_event(OrderShipped(1), timeout=0.5)
        proxy.heal()
        wait_until(lambda: web.get("/health/ready").status_code == 200, "ready again")
        with app.app_context():
            events.send_event(OrderShipped(2))
            events.stop()
