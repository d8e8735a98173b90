"""Lost connections: what is written again, who is told, and that everything is there again afterwards."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aspyx_event.envelope import Envelope
from aspyx_event.exceptions import AuthenticationFailed, ProviderUnavailable, SendRejected
from aspyx_event.provider import Delivery
from aspyx_event.testing.proxy import TcpProxy
from tests.integrations.amqp.support import (
    TIMEOUT,
    Inbox,
    States,
    a_listener,
    an_envelope,
    an_event,
    in_order,
    wait_until,
)
from tests.integrations.stomp.conftest import MakeProvider, only
from tests.integrations.stomp.rabbit import api

RECOVERY = 60.0


@pytest.fixture
def proxy(broker: Any) -> Iterator[TcpProxy]:
    """A proxy before the broker."""
    with TcpProxy(broker.host, broker.stomp_port) as between:
        yield between


@pytest.mark.parametrize("durable", [True, False])
@only("artemis", "rabbitmq", "activemq")
def test_a_killed_broker_comes_back(make_provider: MakeProvider, broker: Any, durable: bool) -> None:
    """After a broker was killed and restarted, queues and subscriptions are back, and waiting sends are written."""
    states = States()
    provider = make_provider(on_state=states)
    event = an_event(durable=durable)
    inbox = Inbox()
    subscription = provider.subscribe(a_listener(event), inbox, credit=10, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    unsettled = inbox.wait(1)[0]
    if broker.name == "rabbitmq":
        threading.Event().wait(3)  # a quorum queue younger than that does not survive a kill: nothing ever leads it
    broker.kill()
    lost = states.wait_for(lambda state: not state.connected)
    assert isinstance(lost.error, ProviderUnavailable)
    assert not provider.connected
    wait_until(lambda: not unsettled.alive)
    unsettled.accept()
    waiting = provider.send(an_envelope(2), event)
    broker.start()
    waiting.result(RECOVERY)
    provider.send(an_envelope(3), event).result(TIMEOUT)
    expected = {"id-1", "id-2", "id-3"} if durable else set()  # the rest may be lost while the queue is not there yet
    wait_until(lambda: expected <= set(inbox.numbers[1:]), RECOVERY)
    count = len(inbox.deliveries)
    wait_until(lambda: subscription.channel.link is not None, RECOVERY)  # type: ignore[attr-defined]
    provider.send(an_envelope(4), event).result(TIMEOUT)
    wait_until(lambda: "id-4" in inbox.numbers[count - 1 :], RECOVERY)
    subscription.close(TIMEOUT)


def test_what_was_not_confirmed_is_written_again(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """Events that were written, and whose receipts the broken connection swallowed, are written again in order."""
    provider = make_provider(port=proxy.port)
    event = an_event()
    inbox = Inbox()
    make_provider().subscribe(a_listener(event), inbox, credit=500, timeout=TIMEOUT)
    provider.send(an_envelope(0), event).result(TIMEOUT)
    inbox.wait(1)[0].accept()
    proxy.stall("down")
    already = proxy.bytes_forwarded("up")
    sends = [provider.send(an_envelope(number), event) for number in range(1, 101)]
    assert proxy.wait_for_bytes("up", already + 5000)
    proxy.cut()
    proxy.heal()
    for confirmation in sends:
        confirmation.result(RECOVERY)
    expected = [f"id-{number}" for number in range(1, 101)]
    wait_until(lambda: in_order(expected, inbox.numbers), RECOVERY)


def test_cuts_in_a_stream_lose_nothing(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """With the connections cut again and again under load, every confirmed event is received at least once."""
    provider = make_provider(port=proxy.port)
    event = an_event()
    seen: set[str] = set()
    done = threading.Event()

    def handle(delivery: Delivery) -> None:
        seen.add(delivery.read().id)
        delivery.accept()
        if len(seen) == 3000:
            done.set()

    subscription = provider.subscribe(a_listener(event), handle, credit=50, timeout=TIMEOUT)
    sends = []
    for number in range(3000):
        sends.append(provider.send(an_envelope(number), event))
        if number % 750 == 500:
            sends[-300].result(RECOVERY)
            proxy.cut()
    for confirmation in sends:
        confirmation.result(RECOVERY)
    assert done.wait(RECOVERY), f"{len(seen)} of 3000; {subscription!r}"


@only("artemis")
def test_a_cancelled_send_is_not_written(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """What the sender has given up during an outage is forgotten."""
    states = States()
    provider = make_provider(port=proxy.port, on_state=states)
    event = an_event()
    inbox = Inbox()
    provider.subscribe(a_listener(event), inbox, credit=50, timeout=TIMEOUT)
    proxy.cut(refuse=True)
    states.wait_for(lambda state: not state.connected)
    sends = [provider.send(an_envelope(number), event) for number in range(4)]
    assert sends[1].cancel()
    proxy.heal()
    for number in (0, 2, 3):
        sends[number].result(RECOVERY)
    inbox.wait(3)
    assert inbox.stays_at(3)
    assert inbox.numbers == ["id-0", "id-2", "id-3"]


def test_a_silent_peer_is_lost(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """A peer that says nothing for some heartbeats is a lost connection; it is replaced when it can be."""
    states = States()
    provider = make_provider(port=proxy.port, heartbeat=1.0, connect_timeout=1.0, on_state=states)
    proxy.stall("down")
    lost = states.wait_for(lambda state: not state.connected, 6)
    assert "silent" in str(lost.error)
    proxy.heal()
    states.wait_for(lambda state: state.connected, RECOVERY, since=1)
    assert provider.connected


def test_a_peer_that_does_not_read_blocks_nobody(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """While the broker reads nothing, send returns at once, and the connection is given up after some heartbeats."""
    states = States()
    provider = make_provider(port=proxy.port, heartbeat=1.0, connect_timeout=1.0, on_state=states)
    proxy.stall()
    event = an_event()
    body = Envelope(b'{"text":"' + b"x" * 500_000 + b'"}', {"cloudEvents_id": "big"})
    sends = [provider.send(body, event) for _ in range(40)]
    states.wait_for(lambda state: not state.connected, 8)
    proxy.heal()
    for confirmation in sends:
        confirmation.result(RECOVERY)


def test_a_quiet_connection_stays(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """Heartbeats keep connections on which nothing happens."""
    states = States()
    provider = make_provider(port=proxy.port, heartbeat=3.0, on_state=states)
    provider.subscribe(a_listener(an_event()), Inbox(), credit=1, timeout=TIMEOUT)
    before = proxy.connections
    Inbox().stays_at(0, 8.0)
    assert provider.connected
    assert [(state.connected, state.error) for state in states.seen] == [(True, None)]
    assert proxy.connections == before


@only("artemis")
def test_a_password_that_changed(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """Credentials that are not accepted any more after a loss are reported, and tried again until they are."""
    states = States()
    provider = make_provider(port=proxy.port, on_state=states)
    right = provider._settings.password
    object.__setattr__(provider._settings, "password", "changed")
    proxy.cut()
    states.wait_for(lambda state: isinstance(state.error, AuthenticationFailed))
    object.__setattr__(provider._settings, "password", right)
    states.wait_for(lambda state: state.connected, RECOVERY, since=1)
    provider.send(an_envelope(), an_event()).result(TIMEOUT)


@only("artemis")
def test_a_deleted_queue_comes_back(make_provider: MakeProvider, artemis_management: Any) -> None:
    """When an administrator deletes a listener's queue, it is declared and attached again."""
    provider = make_provider()
    event = an_event()
    inbox = Inbox()
    subscription = provider.subscribe(a_listener(event), inbox, credit=5, timeout=TIMEOUT)
    artemis_management.delete_queue(subscription.queue.partition("::")[2])

    def arrives() -> bool:
        provider.send(an_envelope(4), event).result(TIMEOUT)
        return bool(inbox.numbers)

    wait_until(arrives)


@only("rabbitmq")
def test_an_event_that_ends_connections_is_refused(make_provider: MakeProvider) -> None:
    """A frame above RabbitMQ's limit makes it hang up; the sender hears so, and the others are confirmed."""
    provider = make_provider()
    event = an_event()
    too_big = Envelope(b"x" * 5_000_000, {"cloudEvents_id": "big"})
    sends = [provider.send(an_envelope(number), event) for number in range(5)]
    refused = provider.send(too_big, event)
    sends += [provider.send(an_envelope(number), event) for number in range(5, 10)]
    error = refused.exception(RECOVERY)
    assert isinstance(error, SendRejected)
    assert error.event_id == "big"
    for confirmation in sends:
        confirmation.result(RECOVERY)


def test_declaring_and_subscribing_survive_a_cut(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """A call that finds no connection goes on when there is one, within its own time limit."""
    provider = make_provider(port=proxy.port)
    proxy.cut(refuse=True)
    healing = threading.Timer(1.0, proxy.heal)
    healing.start()
    inbox = Inbox()
    event = an_event()
    provider.subscribe(a_listener(event), inbox, credit=5, timeout=RECOVERY)
    provider.send(an_envelope(1), event).result(RECOVERY)
    assert inbox.wait(1)[0].read().id == "id-1"
    healing.join()


@only("artemis", "rabbitmq")
def test_a_queue_that_is_deleted(make_provider: MakeProvider, broker: Any, request: pytest.FixtureRequest) -> None:
    """A queue that an operator deletes under its listener is declared again, and read again."""
    provider = make_provider()
    event = an_event()
    listener, inbox = a_listener(event), Inbox()
    provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
    if broker.name == "rabbitmq":
        path = f"/queues/%2F/{provider.queue_name(listener).replace(':', '%3A')}"
        delete = functools.partial(api, broker, "DELETE", path)
    else:
        delete = functools.partial(request.getfixturevalue("artemis_management").delete_queue, listener.name)
    delete()
    deadline = time.monotonic() + 30
    while not inbox.deliveries and time.monotonic() < deadline:
        provider.send(an_envelope(1), event).result(TIMEOUT)
        inbox.stays_at(0, 0.5)
    assert inbox.deliveries
