"""The system checks: one for each thing that can be wrong, and silence where nothing is."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings
from django.views.debug import SafeExceptionReporterFilter

from aspyx_event import EventManager, event_listener
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.integrations.django import get_manager
from tests.integrations.django.shop.orders.events import OrderPlaced


@event_listener(OrderPlaced, name="Bookkeeping")
def other_bookkeeping(event: OrderPlaced) -> None:
    """A second listener of a name that is taken."""


@event_listener(OrderPlaced, per_process=True)
def everywhere(event: OrderPlaced) -> None:
    """A listener in every process."""


def _found(settings: Any, *, deploy: bool = False) -> list[tuple[str, str]]:
    with override_settings(ASPYX_EVENT=settings):
        return [
            (message.id or "", message.msg)
            for message in run_checks(tags=["aspyx_event"], include_deployment_checks=deploy)
        ]


_HERE = __name__


@pytest.mark.parametrize(
    ("settings", "id", "text"),
    [
        (["local://"], "E001", "ASPYX_EVENT is a list: make it a dict"),
        ({"URL": "local://", "WORKER": 2}, "E002", "no setting 'WORKER'; did you mean 'WORKERS'?"),
        ({"URL": "local://", "WORKERS": 0}, "E003", "a whole number from 1 on"),
        ({"URL": "local://", "RETRY": {"delayed": ["soon"]}}, "E003", "ASPYX_EVENT['RETRY']"),
        ({}, "E004", "ASPYX_EVENT['URL'] is missing"),
        ({"URL": "amqp//me:s3cret@localhost"}, "E004", "no provider for a URL without a scheme"),
        ({"URL": "local://", "EXCEPTION_HANDLERS": ["shop.nothing.Here"]}, "E005", "'shop.nothing.Here' cannot be"),
        ({"URL": "local://", "OBSERVERS": [f"{_HERE}.nobody"]}, "E005", "nobody"),
        ({"URL": "local://", "SCAN": ["nowhere_at_all"]}, "E005", "'nowhere_at_all' cannot be imported"),
        ({"URL": "local://", "REGISTER": [f"{_HERE}.other_bookkeeping"]}, "E006", "two listeners are named 'Bookkeepi"),
        (
            {"URL": "local://", "SERVER_NAME": "shop", "REGISTER": [f"{_HERE}.everywhere"]},
            "W002",
            "would share the queue of everywhere",
        ),
        ({"URL": "local://?server_name=shop-{host}", "REGISTER": [f"{_HERE}.everywhere"]}, "W002", "'shop-{host}'"),
    ],
)
def test_what_is_wrong_is_found(settings: Any, id: str, text: str) -> None:
    """Each check has its id and says what is meant; no message repeats a password."""
    [(found, message)] = _found(settings)
    assert found == f"aspyx_event.{id}"
    assert text in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    "settings",
    [
        {"URL": "local://"},
        {"URL": "stomp://me:s3cret@localhost/?server_name=shop-{pid}", "REGISTER": [f"{_HERE}.everywhere"]},
        {"url": "local://", "SERVER_NAME": "shop"},
    ],
)
def test_what_is_right_passes(settings: Any) -> None:
    """Good settings bring no message; nothing is connected to."""
    if settings.get("URL", "").startswith("stomp"):
        pytest.importorskip("stomp")
    assert _found(settings) == []


def test_all_wrong_settings_are_listed_at_once() -> None:
    """One run of the checks names every problem of the settings."""
    assert [id for id, _ in _found({"URL": "local://", "WORKER": 1, "STRICT": "no"})] == [
        "aspyx_event.E002",
        "aspyx_event.E003",
    ]


def test_the_debug_page_hides_the_password() -> None:
    """What Django shows of the settings when a view fails has no PASSWORD in it, but whatever is in the URL."""
    shown = SafeExceptionReporterFilter().cleanse_setting(
        "ASPYX_EVENT", {"URL": "amqp://localhost/", "USER": "me", "PASSWORD": "s3cret"}
    )
    assert shown["URL"] == "amqp://localhost/"
    assert "s3cret" not in str(shown)


def test_local_events_are_for_development() -> None:
    """``check --deploy`` warns of local:// where DEBUG is off, and of nothing else."""
    assert [id for id, _ in _found({"URL": "local://"}, deploy=True)] == ["aspyx_event.W001"]
    with override_settings(DEBUG=True):
        assert _found({"URL": "local://"}, deploy=True) == []
    pytest.importorskip("stomp")
    assert _found({"URL": "stomp://localhost/"}, deploy=True) == []


def test_wrong_settings_are_an_error_where_they_are_used() -> None:
    """Servers run no checks: the first use says the same. Later ones see the settings as they are then."""
    wrong = override_settings(ASPYX_EVENT={"URL": "local://", "WORKER": 2})
    with wrong, pytest.raises(ConfigurationError, match="did you mean 'WORKERS'"):
        get_manager()
    manager: EventManager = get_manager()
    with override_settings(ASPYX_EVENT={"URL": "local://", "PREFIX": "other"}):
        assert get_manager().provider.error_queue == "other.error"
    assert get_manager() is not manager
