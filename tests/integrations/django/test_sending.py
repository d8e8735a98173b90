"""Sending from code of the project: at once, and with the end of a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from asgiref.sync import ThreadSensitiveContext
from django.db import transaction
from django.test import AsyncClient, TestCase, override_settings

from aspyx_event import (
    CodecError,
    ConfigurationError,
    Envelope,
    EnvelopePipeline,
    EventDescriptor,
    EventManager,
    EventRegistry,
    ProviderUnavailable,
    envelope_pipeline,
)
from aspyx_event.integrations.django import (
    get_manager,
    override_manager,
    send_event,
    send_event_async,
    send_events,
    send_on_commit,
)
from tests.integrations.django.shop.orders.events import OrderPlaced
from tests.integrations.django.shop.orders.models import Order

BOTH = ["default", "archive"]


@envelope_pipeline()
class Sent(EnvelopePipeline):
    """Writes down what is sent; refuses number 13, as a broker that is away would, and has a mistake for number -1."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.ids: list[str] = []

    def send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> None:
        """See EnvelopePipeline."""
        if '"number":13' in envelope.get_body():
            raise ProviderUnavailable("the broker is away", event_id=envelope.id)
        if '"number":-1' in envelope.get_body():
            raise KeyError("a pipeline has a mistake")
        self.proceed_send(envelope, event_descriptor)
        self.numbers.append(int(envelope.get_body()[len('{"number":') : -1]))
        self.ids.append(envelope.id)


@pytest.fixture
def sent() -> Iterator[Sent]:
    """What is sent, by a manager of the test's own."""
    pipeline = Sent()
    with EventManager("local://", registry=EventRegistry().register(pipeline)) as manager, override_manager(manager):
        yield pipeline


@contextmanager
def undone(using: str | None = None) -> Iterator[None]:
    """A transaction, or a savepoint in one, that is rolled back."""
    with transaction.atomic(using):
        yield
        transaction.set_rollback(True, using)


def test_events_and_listeners_of_the_apps_are_found() -> None:
    """The manager has what ``events.py`` and ``listeners.py`` of the installed apps declare, and is not started."""
    manager = get_manager()
    assert [event.name for event in manager.registry.events] == ["OrderPlaced", "OrderBooked"]
    assert {listener.name for listener in manager.registry.listeners} == {"Bookkeeping", "AsyncBookkeeping"}
    assert not manager.health().live


def test_every_way_of_sending(sent: Sent) -> None:
    """One event, many, and one from a coroutine; the first of them starts the manager."""
    send_event(OrderPlaced(1), id="one")
    send_events([OrderPlaced(2), OrderPlaced(3)])
    asyncio.run(send_event_async(OrderPlaced(4)))
    assert sent.numbers == [1, 2, 3, 4]
    assert sent.ids[0] == "one"


def test_an_async_view(sent: Sent) -> None:
    """Under ASGI, an async view waits for the broker without blocking its loop."""

    async def status() -> int:
        async with ThreadSensitiveContext():  # as the handler of a server; its thread ends with it
            return (await AsyncClient().get("/async/5")).status_code

    assert asyncio.run(status()) == 200
    assert sent.numbers == [5]


def test_a_manager_is_started_by_the_first_send() -> None:
    """Nothing is connected before; with ``local://``, listeners run in the process that sends."""
    manager = get_manager()
    assert not manager.health().live
    send_event(OrderPlaced(-1))
    assert get_manager() is manager
    assert manager.health().live
    assert set(manager.health().listeners) == {"Bookkeeping", "AsyncBookkeeping"}


@pytest.mark.django_db(transaction=True, databases=BOTH)
@pytest.mark.parametrize("using", [None, "archive"])
def test_the_commit_sends(sent: Sent, using: str | None) -> None:
    """Within a transaction of that database the event waits for its commit; the order in which they came is kept."""
    with transaction.atomic(using):
        send_on_commit(OrderPlaced(1), using=using)
        with transaction.atomic(using):
            send_on_commit(OrderPlaced(2), using=using)
        assert sent.numbers == []
    assert sent.numbers == [1, 2]


@pytest.mark.django_db(transaction=True, databases=BOTH)
def test_a_rollback_sends_nothing(sent: Sent) -> None:
    """Neither that of the transaction, nor that of a savepoint; what is outside of the savepoint is sent."""
    with undone():
        send_on_commit(OrderPlaced(1))
    with transaction.atomic():
        send_on_commit(OrderPlaced(2))
        with undone():
            send_on_commit(OrderPlaced(3))
    assert sent.numbers == [2]


@pytest.mark.django_db(transaction=True, databases=BOTH)
def test_databases_commit_on_their_own(sent: Sent) -> None:
    """An event waits for the database that was named, and for no other: the rollback of one keeps back only its own."""
    with transaction.atomic():
        with undone("archive"):
            send_on_commit(OrderPlaced(1), using="archive")
            send_on_commit(OrderPlaced(2))
        with transaction.atomic("archive"):
            send_on_commit(OrderPlaced(3), using="archive")
        assert sent.numbers == [3]
    assert sent.numbers == [3, 2]


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_it_is_sent_at_once(sent: Sent) -> None:
    """In autocommit there is nothing to wait for."""
    send_on_commit(OrderPlaced(1))
    assert sent.numbers == [1]


@pytest.mark.django_db(transaction=True)
def test_a_robust_send_that_fails_is_logged(sent: Sent, caplog: pytest.LogCaptureFixture) -> None:
    """The transaction stays, the functions after it run, and the log says which event is lost, with its id."""
    after: list[int] = []
    with transaction.atomic():
        Order.objects.create(number=13)
        send_on_commit(OrderPlaced(13), id="order-13")
        transaction.on_commit(lambda: after.append(1))
        send_on_commit(OrderPlaced(14))
    assert Order.objects.filter(number=13).exists()
    assert (after, sent.numbers) == ([1], [14])
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage() == "OrderPlaced (id order-13) was not sent after the commit, and is lost"
    assert "the broker is away" in str(record.exc_info)


@pytest.mark.django_db(transaction=True)
def test_a_pipeline_that_fails_after_the_commit(sent: Sent, caplog: pytest.LogCaptureFixture) -> None:
    """An event that is lost by somebody's mistake in a pipeline is told in the same way, by its id."""
    with transaction.atomic():
        send_on_commit(OrderPlaced(-1), id="order-1")
        send_on_commit(OrderPlaced(2))
    assert sent.numbers == [2]
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage() == "OrderPlaced (id order-1) was not sent after the commit, and is lost"
    assert "a pipeline has a mistake" in str(record.exc_info)


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """A process that cannot connect says so within SEND_TIMEOUT; what was committed stays, and its event is lost."""
    pytest.importorskip("stomp")
    with override_settings(ASPYX_EVENT={"URL": "stomp://127.0.0.1:9/", "SEND_TIMEOUT": 0.5}):
        with pytest.raises(ProviderUnavailable, match="Connection refused"):
            send_event(OrderPlaced(1))
        with transaction.atomic():
            Order.objects.create(number=1)
            send_on_commit(OrderPlaced(1), id="order-1")
    assert Order.objects.filter(number=1).exists()
    assert "OrderPlaced (id order-1) was not sent after the commit, and is lost" in caplog.messages


@pytest.mark.django_db(transaction=True)
def test_a_send_that_is_not_robust_raises(sent: Sent) -> None:
    """With ``robust=False`` the error leaves the atomic block; what it stored is committed."""

    def place() -> None:
        with transaction.atomic():
            Order.objects.create(number=13)
            send_on_commit(OrderPlaced(13), robust=False)

    with pytest.raises(ProviderUnavailable):
        place()
    assert Order.objects.filter(number=13).exists()
    assert sent.numbers == []


@pytest.mark.django_db(transaction=True)
def test_what_can_never_be_sent_is_refused_at_once(sent: Sent) -> None:
    """A wrong field, a wrong option, or no event at all: the transaction is told, not the log after the commit."""
    with transaction.atomic():
        with pytest.raises(CodecError, match="number"):
            send_on_commit(OrderPlaced("many"))  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="delay"):
            send_on_commit(OrderPlaced(1), delay=-1)
        with pytest.raises(ConfigurationError, match="str"):
            send_on_commit("an order")
    assert sent.numbers == []


class CommitInATestCase(TestCase):
    """Django's own way to see what ``on_commit`` got, in a transaction that is never committed."""

    @pytest.fixture(autouse=True)
    def _sent(self, sent: Sent) -> None:
        self.sent = sent

    def test_callbacks_are_captured(self) -> None:
        """``captureOnCommitCallbacks(execute=True)`` sends; without it, nothing leaves a TestCase."""
        send_on_commit(OrderPlaced(1))
        assert self.sent.numbers == []
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            send_on_commit(OrderPlaced(2))
            assert self.sent.numbers == []
        assert len(callbacks) == 1
        assert self.sent.numbers == [2]
