# test_orders.py
import pytest
from orders.events import OrderPlaced
from orders.listeners import Billing

from aspyx_event.integrations.django import get_manager, override_manager
from aspyx_event.testing import EventHarness


@pytest.fixture
def events():
    with EventHarness(registry=get_manager().registry) as harness, override_manager(harness.manager):
        yield harness


@pytest.mark.django_db(transaction=True)
def test_an_order_is_billed(client, events, capsys):
    client.post("/orders/Ada")
    events.wait_idle()
    assert events.handled(Billing) == [OrderPlaced("Ada", 9.5)]
    assert capsys.readouterr().out == "Ada owes 9.50 euros\n"


@pytest.mark.django_db  # in a transaction that is never committed, as in a TestCase
def test_an_order_is_sent(client, events, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/orders/Ada")
    assert events.sent(OrderPlaced) == [OrderPlaced("Ada", 9.5)]
