"""What is created on RabbitMQ, by whom, and what is said about what is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aspyx_event.exceptions import AttachRefused, ConfigurationError, ProviderError
from aspyx_event.provider import Provider
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_envelope, an_event, unique
from tests.integrations.amqp_rabbitmq.conftest import Make
from tests.integrations.amqp_rabbitmq.support import queue_path, queues, wait_until
from tests.integrations.stomp.rabbit import api

if TYPE_CHECKING:
    from tests.brokers.rabbitmq import RabbitMQBroker

pytestmark = pytest.mark.rabbitmq


def test_queues_and_bindings(provider: Provider, broker: RabbitMQBroker) -> None:
    """Quorum queues for what is durable, the others expire; each bound to its event's exchange, also unread."""
    listeners = [
        a_listener(an_event()),
        a_listener(an_event(durable=False)),
        a_listener(an_event(durable=False), per_process=True),
    ]
    for listener in listeners:
        provider.declare(listener, timeout=TIMEOUT)
    there = queues(broker)
    found = [there[provider.queue_name(listener)] for listener in listeners]
    assert [queue["type"] for queue in found] == ["quorum", "classic", "classic"]
    assert [queue["arguments"].get("x-expires") for queue in found] == [None, 60_000, 3_600_000]
    assert found[0]["arguments"]["x-dead-letter-routing-key"] == provider.error_queue
    for listener in listeners:
        bindings = api(broker, "GET", f"{queue_path(provider.queue_name(listener))}/bindings")
        assert {listener.event.name} <= {binding["source"] for binding in bindings}
        exchange = api(broker, "GET", f"/exchanges/%2F/{listener.event.name}")
        assert (exchange["type"], exchange["durable"]) == ("fanout", True)


@pytest.mark.parametrize("first", ["amqp", "stomp"])
@pytest.mark.parametrize(("durable", "per_process"), [(True, False), (False, False), (True, True)])
def test_either_protocol_declares_first(make: Make, first: str, durable: bool, per_process: bool) -> None:
    """What one protocol declared is what the other would have: no finding, and each sends to the other."""
    second = "stomp" if first == "amqp" else "amqp"
    name, prefix = unique("same"), unique("app")
    one, other = (make(protocol, server_name=name, prefix=prefix) for protocol in (first, second))
    event = an_event(durable=durable)
    listener = a_listener(event, per_process=per_process)
    for provider in (one, other):
        provider.declare(provider.error_queue, timeout=TIMEOUT)
        provider.declare(event, timeout=TIMEOUT)
        provider.declare(listener, timeout=TIMEOUT)
        assert not any("is there already" in text for text in provider.findings())
    inbox = Inbox()
    one.subscribe(listener, inbox, credit=10, timeout=TIMEOUT)
    for number, provider in enumerate((one, other)):
        provider.send(an_envelope(number), event).result(TIMEOUT)
    inbox.wait(2)
    assert inbox.stays_at(2)
    assert sorted(inbox.numbers) == ["id-0", "id-1"]


def test_a_queue_that_was_there_before_the_exchange(make: Make) -> None:
    """STOMP's queue of a time without AMQP hangs on amq.topic alone, and gets what AMQP sends nevertheless, once."""
    event = an_event()
    listener = a_listener(event)
    inbox = Inbox()
    make("stomp").subscribe(listener, inbox, credit=10, timeout=TIMEOUT)
    sender = make("amqp")
    sender.declare(event, timeout=TIMEOUT)
    sender.send(an_envelope(1), event).result(TIMEOUT)
    inbox.wait(1)
    assert inbox.stays_at(1)


def test_both_protocols_compete_for_one_queue(make: Make) -> None:
    """An event reaches a queue once, whoever sent it, however often the queue is bound."""
    event = an_event()
    listener = a_listener(event)
    providers = [make("amqp"), make("stomp"), make("stomp")]
    inboxes = [Inbox(), Inbox(), Inbox()]
    for provider, inbox in zip(providers, inboxes):
        provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
    for number in range(10):
        providers[number % 2].send(an_envelope(number), event).result(TIMEOUT)

    def numbers() -> list[str]:
        return sorted(number for inbox in inboxes for number in inbox.numbers)

    expected = sorted(f"id-{number}" for number in range(10))
    wait_until(lambda: len(numbers()) >= len(expected))
    assert inboxes[0].stays_at(len(inboxes[0].deliveries))
    assert numbers() == expected


def test_a_queue_with_other_arguments(make: Make, broker: RabbitMQBroker) -> None:
    """A queue somebody else made is bound and used, and named in a finding; a quorum queue is not browsed."""
    provider = make(error_queue=unique("dead"))
    event = an_event()
    listener = a_listener(event)
    queue = provider.queue_name(listener)
    api(broker, "PUT", queue_path(queue), {"durable": True, "arguments": {"x-queue-type": "classic"}})
    quorum = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
    api(broker, "PUT", queue_path(provider.error_queue), quorum)
    provider.declare(provider.error_queue, timeout=TIMEOUT)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=1, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    assert inbox.wait(1)[0].read().id == "id-1"
    assert len([text for text in provider.findings() if "other arguments" in text]) == 2
    with pytest.raises(ProviderError, match="quorum queue"):
        list(provider.browse(provider.error_queue, timeout=TIMEOUT))


def test_an_exchange_with_other_options(provider: Provider, broker: RabbitMQBroker) -> None:
    """A direct exchange of the event's name serves as well, and is named in a finding."""
    event = an_event()
    api(broker, "PUT", f"/exchanges/%2F/{event.name}", {"type": "direct", "durable": True})
    inbox = Inbox()
    provider.subscribe(a_listener(event), inbox, credit=1, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    inbox.wait(1)[0].accept()
    assert any(f"exchange {event.name!r} is there already with other options" in text for text in provider.findings())


def test_a_second_process_of_the_same_name(make: Make) -> None:
    """Two processes that read one per_process queue are reported: each would get a part."""
    name = unique("twin")
    one, other = make(server_name=name), make(server_name=name)
    listener = a_listener(an_event(), per_process=True)
    one.subscribe(listener, Inbox(), credit=1, timeout=TIMEOUT)
    assert one.findings() == []
    other.declare(listener, timeout=TIMEOUT)
    assert any("another process uses the same server_name" in text for text in other.findings())


def test_names_that_are_the_brokers(provider: Provider) -> None:
    """RabbitMQ's reserved names are refused with a sentence that says so."""
    with pytest.raises(ConfigurationError, match=r"keeps names that begin with 'amq\.' to itself"):
        provider.declare(an_event(name="amq.orders"), timeout=TIMEOUT)


def test_names_with_dots_and_a_prefix(make: Make) -> None:
    """Dots and percent-encoded colons are no problem, and names stay different."""
    provider = make(prefix=unique("shop.eu"))
    event = an_event(name=unique("order.placed-v1_x"))
    inboxes = [Inbox(), Inbox()]
    stem = unique("b")
    for inbox, name in zip(inboxes, (f"{stem}.audit_log", f"{stem}_audit.log")):
        provider.subscribe(a_listener(event, name=name), inbox, credit=5, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    for inbox in inboxes:
        inbox.wait(1)[0].accept()
        assert inbox.stays_at(1, 0.1)


@pytest.fixture
def reader(broker: RabbitMQBroker) -> str:
    """A user who may read and write, and create nothing."""
    name = unique("reader")
    api(broker, "PUT", f"/users/{name}", {"password": name, "tags": ""})
    api(broker, "PUT", f"/permissions/%2F/{name}", {"configure": "", "write": ".*", "read": ".*"})
    return name


def test_a_user_who_may_not_create(make: Make, reader: str) -> None:
    """Declaring is refused and names the queue; sending to what is there works; a delay cannot."""
    provider = make(user=reader, password=reader)
    event = an_event()
    listener = a_listener(event)
    with pytest.raises(AttachRefused, match=event.name) as caught:
        provider.declare(listener, timeout=TIMEOUT)
    assert caught.value.address == event.name
    make().declare(listener, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    delayed = an_envelope(2)
    delayed.delay = 1.0
    with pytest.raises(ProviderError, match="cannot be declared"):
        provider.send(delayed, event).result(TIMEOUT)
    provider.send(an_envelope(3), event).result(TIMEOUT)  # the refusal broke nothing
