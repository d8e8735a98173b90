from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

import pytest
from app import OrderPlaced, app, bill, events

from aspyx_event.testing import EventHarness


@pytest.fixture
def harness(event_harness: Callable[..., EventHarness]) -> Iterator[EventHarness]:
    with app.app_context():
        harness = event_harness(registry=events.registry)
        replaced = events.replaced_by(harness.manager)
    with replaced:
        yield harness


def test_an_order_is_billed(harness: EventHarness, capsys: Any) -> None:
    assert app.test_client().post("/orders/Ada").status_code == 200
    harness.wait_idle()
    assert harness.handled(bill) == [OrderPlaced("Ada", 9.5)]
    assert "Ada owes 9.50 euros" in capsys.readouterr().out
