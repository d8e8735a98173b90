"""What is created on the broker, checked, and found fault with."""

from __future__ import annotations

import json

import pytest

from aspyx_event.exceptions import AttachRefused, ConfigurationError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.topology import MissingResources
from tests.brokers.artemis import ArtemisBroker
from tests.brokers.management import ArtemisManagement, QueueState
from tests.integrations.amqp.conftest import MakeProvider
from tests.integrations.amqp.support import TIMEOUT, Inbox, a_listener, an_envelope, an_event, unique

pytestmark = pytest.mark.artemis


def declared(provider: AMQPProvider, management: ArtemisManagement, listener: EventListenerDescriptor) -> QueueState:
    provider.declare(listener, timeout=TIMEOUT)
    state = management.queue(provider.queue_name(listener).partition("::")[2])
    assert state is not None
    assert (state.address, state.routing_type, state.auto_created) == (listener.event.name, "MULTICAST", False)
    return state


def test_a_durable_queue(provider: AMQPProvider, artemis_management: ArtemisManagement) -> None:
    """A durable listener's queue is durable and stays."""
    state = declared(provider, artemis_management, a_listener(an_event()))
    assert (state.durable, state.auto_delete) == (True, False)


def test_a_non_durable_queue(provider: AMQPProvider, artemis_management: ArtemisManagement) -> None:
    """The queue of a listener of a non-durable event is not durable and goes away by itself."""
    state = declared(provider, artemis_management, a_listener(an_event(durable=False)))
    assert (state.durable, state.auto_delete) == (False, True)


@pytest.mark.parametrize("durable", [True, False])
def test_a_per_process_queue(make_provider: MakeProvider, artemis_management: ArtemisManagement, durable: bool) -> None:
    """A per_process queue bears the server's name, is as durable as its event, and goes away by itself."""
    provider = make_provider(server_name="the-server", prefix="app")
    listener = a_listener(an_event(durable=durable), per_process=True)
    state = declared(provider, artemis_management, listener)
    assert state.name == f"app.{listener.name}-the-server"
    assert (state.durable, state.auto_delete) == (durable, True)


def test_a_plain_queue(provider: AMQPProvider, artemis_management: ArtemisManagement) -> None:
    """The error queue is a durable ANYCAST queue on an address of its own."""
    name = unique("error")
    provider.declare(name, timeout=TIMEOUT)
    state = artemis_management.queue(name)
    assert state is not None
    assert (state.address, state.routing_type, state.durable, state.auto_delete) == (name, "ANYCAST", True, False)


def test_declaring_twice_changes_nothing(provider: AMQPProvider, artemis_management: ArtemisManagement) -> None:
    """Declaring again keeps the queue and what is in it."""
    event = an_event()
    listener = a_listener(event)
    for target in (event, listener, event, listener, "error", "error"):
        provider.declare(target, timeout=TIMEOUT)
        provider.send(an_envelope(), event).result(TIMEOUT)
    state = artemis_management.queue(provider.queue_name(listener).partition("::")[2])
    assert state is not None
    assert state.message_count == 5
    assert provider.findings() == []


def test_a_queue_of_another_address_is_refused(provider: AMQPProvider) -> None:
    """A listener whose queue name belongs to another event is refused with a sentence that names all of them."""
    name = unique("audit")
    first, second = a_listener(an_event(), name=name), a_listener(an_event(), name=name)
    provider.declare(first, timeout=TIMEOUT)
    with pytest.raises(ConfigurationError) as refused:
        provider.declare(second, timeout=TIMEOUT)
    for word in (name, first.event.name, second.event.name):
        assert repr(word) in str(refused.value)


def test_a_queue_of_another_address_is_refused_without_management(
    make_provider: MakeProvider, provider: AMQPProvider, artemis: ArtemisBroker
) -> None:
    """The same without the right to manage: the broker refuses to attach."""
    name = unique("audit")
    first, second = a_listener(an_event(), name=name), a_listener(an_event(), name=name)
    provider.declare(first, timeout=TIMEOUT)
    worker = make_provider(user=artemis.worker_user, password=artemis.worker_password)
    with pytest.raises(ConfigurationError, match="another one"):
        worker.declare(second, timeout=TIMEOUT)
    with pytest.raises(ConfigurationError, match=name):
        worker.subscribe(second, Inbox(), credit=1, timeout=TIMEOUT)


def test_without_the_right_to_manage(
    make_provider: MakeProvider, artemis: ArtemisBroker, artemis_management: ArtemisManagement
) -> None:
    """A user who may not manage gets a working durable queue, and a finding that says what is not known."""
    worker = make_provider(user=artemis.worker_user, password=artemis.worker_password)
    event = an_event()
    listener = a_listener(event)
    error = unique("error")
    for target in (event, listener, error):
        worker.declare(target, timeout=TIMEOUT)
    worker.send(an_envelope(1), event).result(TIMEOUT)
    state = artemis_management.queue(worker.queue_name(listener).partition("::")[2])
    assert state is not None
    assert (state.durable, state.message_count, state.address) == (True, 1, event.name)
    plain = artemis_management.queue(error)
    assert plain is not None
    assert plain.routing_type == "ANYCAST"
    inbox = Inbox()
    worker.subscribe(listener, inbox, credit=1, timeout=TIMEOUT)
    inbox.wait(1)[0].accept()
    (finding,) = worker.findings()
    assert "may not use the broker's management" in finding
    assert worker.queue_name(listener) in finding


def test_a_second_consumer_of_a_per_process_queue_is_found(make_provider: MakeProvider) -> None:
    """Two processes with one server name are reported to the second."""
    first, second = make_provider(server_name="twin"), make_provider(server_name="twin")
    listener = a_listener(an_event(), per_process=True)
    first.subscribe(listener, Inbox(), credit=1, timeout=TIMEOUT)
    assert first.findings() == []
    second.declare(listener, timeout=TIMEOUT)
    (finding,) = second.findings()
    assert "server_name" in finding
    assert listener.name in finding


def test_dangerous_settings_are_found(provider: AMQPProvider, artemis_management: ArtemisManagement) -> None:
    """Few delivery attempts, no dead letter address, and queues that would be reaped are found, for durable events."""
    event = an_event()
    listener = a_listener(event)
    artemis_management.call(
        "addAddressSettings",
        event.name,
        json.dumps({"maxDeliveryAttempts": 3, "deadLetterAddress": "", "autoDeleteQueues": True}),
    )
    options = {"name": listener.name, "address": event.name, "routing-type": "MULTICAST", "auto-delete": True}
    artemis_management.call("createQueue", json.dumps(options), True)
    try:
        provider.declare(listener, timeout=TIMEOUT)
        findings = "\n".join(provider.findings())
        for word in ("max-delivery-attempts is 3", "no dead-letter-address", "auto-delete"):
            assert word in findings
    finally:
        artemis_management.call("removeAddressSettings", event.name)


def test_an_attribute_that_does_not_fit_is_found(provider: AMQPProvider) -> None:
    """A queue from the time when its event was not durable is found, with what to do about it."""
    name, address = unique("listener"), unique("event")
    provider.declare(a_listener(an_event(durable=False, name=address), name=name), timeout=TIMEOUT)
    provider.declare(a_listener(an_event(durable=True, name=address), name=name), timeout=TIMEOUT)
    assert any("not durable, although its event is" in finding for finding in provider.findings())


def test_declare_false_declares_nothing(make_provider: MakeProvider, artemis_management: ArtemisManagement) -> None:
    """With declare=False nothing is created, not by attaching either: what is missing is named."""
    provider = make_provider(declare=False)
    listener = a_listener(an_event())
    for call in (
        lambda: provider.declare(listener, timeout=TIMEOUT),
        lambda: provider.subscribe(listener, Inbox(), credit=1, timeout=TIMEOUT),
    ):
        with pytest.raises(MissingResources, match=f"(?s)address '{listener.event.name}'.*queue '{listener.name}'"):
            call()
    assert artemis_management.queue(listener.name) is None
    assert listener.event.name not in artemis_management.addresses()


def test_what_may_not_be_used_is_refused(
    make_provider: MakeProvider, artemis: ArtemisBroker, artemis_management: ArtemisManagement
) -> None:
    """Reading and writing what the user may not raises AttachRefused with the address, and the queue for reading."""
    worker = make_provider(user=artemis.worker_user, password=artemis.worker_password)
    listener = a_listener(an_event())
    artemis_management.call("addSecuritySettings", listener.event.name, *["amq"] * 10)
    try:
        with pytest.raises(AttachRefused) as refused:
            worker.subscribe(listener, Inbox(), credit=1, timeout=TIMEOUT)
        assert (refused.value.address, refused.value.queue) == (listener.event.name, worker.queue_name(listener))
        for _ in range(2):
            with pytest.raises(AttachRefused) as unsent:
                worker.send(an_envelope(7), listener.event).result(TIMEOUT)
            assert (unsent.value.address, unsent.value.queue) == (listener.event.name, None)
            assert unsent.value.event_id == "id-7"
    finally:
        artemis_management.call("removeSecuritySettings", listener.event.name)
    worker.send(an_envelope(8), listener.event).result(TIMEOUT)
