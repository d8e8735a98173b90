"""What is created on the brokers, what is refused, and what is complained about."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from aspyx_event.envelope import Envelope
from aspyx_event.exceptions import AttachRefused, ConfigurationError, ProviderError
from aspyx_event.testing.proxy import TcpProxy
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_envelope, an_event, unique
from tests.integrations.stomp.conftest import MakeProvider, only
from tests.integrations.stomp.rabbit import api


def test_a_declared_durable_queue_collects(make_provider: MakeProvider) -> None:
    """A durable listener's queue exists from its declaration on, without a subscriber."""
    sender, receiver = make_provider(), make_provider()
    event = an_event()
    listener = a_listener(event)
    sender.declare(event, timeout=TIMEOUT)
    for _ in range(3):
        sender.declare(listener, timeout=TIMEOUT)
        sender.send(an_envelope(1), event).result(TIMEOUT)
    inbox = Inbox()
    receiver.subscribe(listener, inbox, credit=10, timeout=TIMEOUT)
    assert [delivery.read().delivery_count for delivery in inbox.wait(3)] == [0, 0, 0]


def test_names_with_dots_and_a_prefix(make_provider: MakeProvider) -> None:
    """Dots in events, listeners and the prefix are no problem anywhere, and names stay different."""
    provider = make_provider(prefix=unique("shop.eu"))
    event = an_event(name=unique("order.placed-v1_x"))
    inboxes = [Inbox(), Inbox()]
    stem = unique("b")
    for inbox, name in zip(inboxes, (f"{stem}.audit_log", f"{stem}_audit.log")):
        provider.subscribe(a_listener(event, name=name), inbox, credit=5, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    for inbox in inboxes:
        inbox.wait(1)[0].accept()
        assert inbox.stays_at(1, 0.1)


@only("artemis")
@pytest.mark.parametrize(
    ("durable", "per_process", "expected"),
    [
        (True, False, ("true", "false", "-1")),
        (False, False, ("false", "true", "60000")),
        (True, True, ("true", "true", "3600000")),
        (False, True, ("false", "true", "3600000")),
    ],
)
def test_queues_on_artemis(
    make_provider: MakeProvider, artemis_management: Any, durable: bool, per_process: bool, expected: tuple[str, ...]
) -> None:
    """Durable queues stay; the others delete themselves, as the AMQP provider's."""
    provider = make_provider()
    listener = a_listener(an_event(durable=durable), per_process=per_process)
    provider.subscribe(listener, Inbox(), credit=1, timeout=TIMEOUT)
    queue = artemis_management.queue(provider.queue_name(listener).partition("::")[2])
    assert (queue.address, queue.routing_type, queue.auto_created) == (listener.event.name, "MULTICAST", False)
    assert str(queue.durable).lower() == expected[0]
    assert str(queue.auto_delete).lower() == expected[1]
    if per_process:
        assert provider.queue_name(listener).endswith(f"-{provider.server_name}")


@only("artemis")
def test_the_error_queue_on_artemis(make_provider: MakeProvider, artemis_management: Any) -> None:
    """The error queue is an ANYCAST queue on an address of its own name."""
    provider = make_provider(error_queue=unique("dead"))
    provider.declare(provider.error_queue, timeout=TIMEOUT)
    queue = artemis_management.queue(provider.error_queue)
    assert (queue.address, queue.routing_type, queue.durable) == (provider.error_queue, "ANYCAST", True)
    assert "aspyx_event.replies" not in {state.address for state in artemis_management.queues().values()}


@only("artemis")
def test_a_queue_of_another_address_is_refused(make_provider: MakeProvider) -> None:
    """Artemis would hand over the other listener's events without a word; we name both addresses."""
    provider = make_provider()
    first, second = an_event(), an_event()
    name = unique("billing")
    provider.declare(a_listener(first, name=name), timeout=TIMEOUT)
    clash = a_listener(second, name=name)
    for call in (
        lambda: provider.declare(clash, timeout=TIMEOUT),
        lambda: provider.subscribe(clash, Inbox(), credit=1, timeout=TIMEOUT),
    ):
        with pytest.raises(ConfigurationError, match=f"(?s){second.name}.*{first.name}"):
            call()
    with pytest.raises(ConfigurationError, match=first.name):
        provider.declare(name, timeout=TIMEOUT)


@only("artemis")
def test_a_user_who_may_not_manage(make_provider: MakeProvider) -> None:
    """Without the right to manage it works by attaching, and says what could not be checked."""
    provider = make_provider(user="worker", password="worker-s3cret", error_queue=unique("dead"))
    durable, fleeting = a_listener(an_event()), a_listener(an_event(durable=False))
    inbox = Inbox()
    provider.declare(provider.error_queue, timeout=TIMEOUT)
    for listener in (durable, fleeting):
        provider.declare(listener.event, timeout=TIMEOUT)
        provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
        provider.send(an_envelope(1), listener.event).result(TIMEOUT)
    for delivery in inbox.wait(2):
        delivery.forward(provider.error_queue, delivery.read().wire_headers).result(TIMEOUT)
        delivery.accept()
    assert len(list(provider.browse(provider.error_queue, timeout=TIMEOUT))) == 2
    taken = provider.take(provider.error_queue, "id-1", timeout=TIMEOUT)
    assert taken is not None
    taken.accept()
    text = " ".join(provider.findings())
    assert "may not use the broker's management" in text
    assert "the broker does not remove it" in text


@only("artemis")
def test_findings_on_artemis(make_provider: MakeProvider, artemis_management: Any) -> None:
    """Settings that endanger events are said in sentences; good ones are silent."""
    provider = make_provider()
    listener = a_listener(an_event())
    provider.declare(listener, timeout=TIMEOUT)
    assert provider.findings() == []
    import json

    settings = {"maxDeliveryAttempts": 3, "deadLetterAddress": ""}
    artemis_management.call("addAddressSettings", listener.event.name, json.dumps(settings))
    provider.declare(listener, timeout=TIMEOUT)
    text = " ".join(provider.findings())
    assert "max-delivery-attempts is 3" in text


@only("activemq")
def test_nothing_is_declared_when_told_so(make_provider: MakeProvider) -> None:
    """declare=False creates nothing itself; on Classic, which cannot be asked, queues come into being by attaching."""
    provider = make_provider(declare=False)
    event = an_event()
    listener = a_listener(event)
    provider.declare(listener, timeout=TIMEOUT)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=1, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    inbox.wait(1)[0].accept()


@only("rabbitmq")
def test_queues_on_rabbitmq(make_provider: MakeProvider, broker: Any) -> None:
    """Quorum queues for what is durable; the others expire; all bound to amq.topic, also without a subscriber."""
    provider = make_provider()
    listeners = [
        a_listener(an_event()),
        a_listener(an_event(durable=False)),
        a_listener(an_event(durable=False), per_process=True),
    ]
    for listener in listeners:
        provider.declare(listener, timeout=TIMEOUT)
    queues = {queue["name"]: queue for queue in api(broker, "GET", "/queues/%2F")}
    found = [queues[provider.queue_name(listener)] for listener in listeners]
    assert [queue["type"] for queue in found] == ["quorum", "classic", "classic"]
    assert [queue["arguments"].get("x-expires") for queue in found] == [None, 60_000, 3_600_000]
    for listener in listeners:
        name = provider.queue_name(listener).replace(":", "%3A")
        bindings = api(broker, "GET", f"/queues/%2F/{name}/bindings")
        assert {"amq.topic"} <= {binding["source"] for binding in bindings}
        assert listener.event.name in {binding["routing_key"] for binding in bindings}


@only("rabbitmq")
def test_declaring_consumes_nothing(make_provider: MakeProvider) -> None:
    """Declaring again and again leaves what waits in the queue untouched: its delivery count stays zero."""
    provider = make_provider()
    event = an_event()
    listener = a_listener(event)
    provider.declare(listener, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    for _ in range(5):
        provider.declare(listener, timeout=TIMEOUT)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=1, timeout=TIMEOUT)
    assert inbox.wait(1)[0].read().delivery_count == 0


@only("rabbitmq")
def test_an_exchange_of_the_amqp_side_is_bound(make_provider: MakeProvider, broker: Any) -> None:
    """Where an exchange of the event's name exists, the queue gets what is sent to it too, once."""
    provider = make_provider()
    event = an_event()
    api(broker, "PUT", f"/exchanges/%2F/{event.name}", {"type": "fanout", "durable": True})
    listener = a_listener(event)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
    body = {"properties": {}, "routing_key": "", "payload": "{}", "payload_encoding": "string"}
    assert api(broker, "POST", f"/exchanges/%2F/{event.name}/publish", body)["routed"]
    inbox.wait(1)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    inbox.wait(2)
    assert inbox.stays_at(2)


@only("rabbitmq")
def test_a_queue_with_other_arguments(make_provider: MakeProvider, broker: Any) -> None:
    """A queue somebody else made is used as it is, and named in a finding; as an error queue it is not browsed."""
    provider = make_provider(error_queue=unique("dead"))
    event = an_event()
    listener = a_listener(event)
    queue = provider.queue_name(listener)
    path = f"/queues/%2F/{queue.replace(':', '%3A')}"
    api(broker, "PUT", path, {"durable": True, "arguments": {"x-queue-type": "classic"}})
    api(broker, "POST", f"/bindings/%2F/e/amq.topic/q/{queue.replace(':', '%3A')}", {"routing_key": event.name})
    quorum = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
    api(broker, "PUT", f"/queues/%2F/{provider.error_queue}", quorum)
    provider.declare(provider.error_queue, timeout=TIMEOUT)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=1, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    assert inbox.wait(1)[0].read().id == "id-1"
    assert len([text for text in provider.findings() if "other arguments" in text]) == 2
    with pytest.raises(ProviderError, match="no classic queue"):
        provider.browse(provider.error_queue, timeout=TIMEOUT)


@only("rabbitmq")
def test_a_missing_policy_is_a_finding(make_provider: MakeProvider, broker: Any) -> None:
    """Without the policy delayed events can be lost: said once, with the command, and not when it is there."""
    first, second = a_listener(an_event()), a_listener(an_event())
    fine = make_provider()
    fine.declare(first, timeout=TIMEOUT)
    api(broker, "DELETE", "/policies/%2F/aspyx_event")
    try:
        provider = make_provider()
        provider.declare(first, timeout=TIMEOUT)
        provider.declare(second, timeout=TIMEOUT)
    finally:
        broker.set_policy()
    [finding] = provider.findings()
    assert "rabbitmqctl set_policy --apply-to quorum_queues aspyx_event" in finding
    again = make_provider()
    again.declare(first, timeout=TIMEOUT)
    assert fine.findings() == again.findings() == []


@only("activemq")
def test_findings_on_activemq(make_provider: MakeProvider) -> None:
    """What Classic keeps although it should not is said."""
    provider = make_provider()
    provider.declare(a_listener(an_event()), timeout=TIMEOUT)
    assert provider.findings() == []
    provider.declare(a_listener(an_event(durable=False)), timeout=TIMEOUT)
    provider.declare(a_listener(an_event(), per_process=True), timeout=TIMEOUT)
    assert len(provider.findings()) == 2
    assert provider.capabilities.delay


@only("artemis")
def test_a_foreign_message(make_provider: MakeProvider, broker: Any) -> None:
    """A text message without our headers is a good event: its id is the broker's, the same for each delivery."""
    provider = make_provider()
    event = an_event()
    listener = a_listener(event)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=1, timeout=TIMEOUT)
    provider.send(Envelope(b'{"number": 1}', {}, content_type=None), event).result(TIMEOUT)
    first = inbox.wait(1)[0]
    inbox.deliveries[0].release()
    second = inbox.wait(2)[1]
    assert first.read().id == second.read().id != ""
    assert second.read().content_type is None


def test_a_declared_queue_is_not_declared_again_to_attach(make_provider: MakeProvider, broker: Any) -> None:
    """Attaching to a queue that was declared takes one connection: that of the subscription."""
    event = an_event()
    listener = a_listener(event)
    with TcpProxy(broker.host, broker.stomp_port) as proxy:
        provider = make_provider(host="127.0.0.1", port=proxy.port)
        provider.declare(listener, timeout=TIMEOUT)
        before = proxy.connections
        provider.subscribe(listener, Inbox(), credit=5, timeout=TIMEOUT)
        assert proxy.connections == before + 1
        provider.stop(timeout=5)


@only("rabbitmq")
def test_a_refused_listener_on_rabbitmq(make_provider: MakeProvider, broker: Any) -> None:
    """A listener that may not read its queue leaves it alone, and all that waits there.

    RabbitMQ deletes the queue of a SUBSCRIBE to a topic whose consumer it refuses. (Not a durable one here: who may not
    read a queue may not declare it with a dead letter exchange either.)
    """
    provider, event = make_provider(), an_event(durable=False)
    listener = a_listener(event)
    provider.declare(listener, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    api(broker, "PUT", "/users/blind", {"password": "blind-s3cret", "tags": ""})
    rights = {"configure": ".*", "write": ".*", "read": r"^(amq\.topic|stomp-subscription.*|event-\w+)$"}
    api(broker, "PUT", "/permissions/%2F/blind", rights)
    blind = make_provider(user="blind", password="blind-s3cret")
    with pytest.raises(AttachRefused, match=listener.name):
        blind.subscribe(listener, Inbox(), credit=1, timeout=TIMEOUT)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=1, timeout=TIMEOUT)
    assert [delivery.read().id for delivery in inbox.wait(1)] == ["id-1"]


@only("rabbitmq")
def test_a_queue_that_nobody_has_bound(make_provider: MakeProvider, broker: Any) -> None:
    """A process that died between declaring and binding leaves a queue that gets no events; the next one binds it."""
    provider, event = make_provider(), an_event()
    listener = a_listener(event)
    provider.declare(listener, timeout=TIMEOUT)
    queue, key = quote(provider.queue_name(listener), safe=""), quote(event.name, safe="")
    api(broker, "DELETE", f"/bindings/%2F/e/amq.topic/q/{queue}/{key}")
    inbox = Inbox()
    make_provider().subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    assert [delivery.read().id for delivery in inbox.wait(1)] == ["id-1"]
