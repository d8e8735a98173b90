"""Lost connections: what is written again, who is told, and that everything is there again afterwards."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from aspyx_event.exceptions import AuthenticationFailed, ProviderUnavailable
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.testing.proxy import TcpProxy
from tests.brokers.artemis import ArtemisBroker
from tests.brokers.management import ArtemisManagement
from tests.integrations.amqp.conftest import MakeProvider
from tests.integrations.amqp.support import TIMEOUT, Inbox, States, a_listener, an_envelope, an_event, in_order

pytestmark = pytest.mark.artemis

RECOVERY = 60.0


@pytest.fixture
def proxy(artemis: ArtemisBroker) -> Iterator[TcpProxy]:
    """A proxy before the broker."""
    artemis.start()
    with TcpProxy(artemis.host, artemis.amqp_port) as between:
        yield between


@pytest.mark.parametrize("durable", [True, False])
def test_a_killed_broker_comes_back(make_provider: MakeProvider, artemis: ArtemisBroker, durable: bool) -> None:
    """After a broker was killed and restarted, queues and subscriptions are back, and waiting sends are written."""
    states = States()
    provider = make_provider(on_state=states)
    event = an_event(durable=durable)
    inbox = Inbox()
    subscription = provider.subscribe(a_listener(event), inbox, credit=10, timeout=TIMEOUT)
    provider.send(an_envelope(1), event).result(TIMEOUT)
    unsettled = inbox.wait(1)[0]
    artemis.kill()
    lost = states.wait_for(lambda state: not state.connected)
    assert isinstance(lost.error, ProviderUnavailable)
    assert not provider.connected
    assert not unsettled.alive
    unsettled.accept()
    waiting = provider.send(an_envelope(2), event)
    artemis.start()
    waiting.result(RECOVERY)
    states.wait_for(lambda state: state.connected, since=1)
    expected = {"id-1", "id-2"} if durable else {"id-2"}
    inbox.wait(1 + len(expected))
    assert set(inbox.numbers[1:]) == expected
    for delivery in inbox.deliveries[1:]:
        delivery.accept()
    provider.send(an_envelope(3), event).result(TIMEOUT)
    inbox.wait(2 + len(expected))[-1].accept()
    subscription.close(TIMEOUT)


def test_what_was_not_confirmed_is_written_again(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """Events that were written, and whose confirmations the broken connection swallowed, are written again in order."""
    provider = make_provider(port=proxy.port)
    event = an_event()
    listener = a_listener(event)
    provider.declare(listener, timeout=TIMEOUT)
    provider.send(an_envelope(0), event).result(TIMEOUT)
    proxy.stall("down")
    already = proxy.bytes_forwarded("up")
    sends = [provider.send(an_envelope(number), event) for number in range(1, 101)]
    assert proxy.wait_for_bytes("up", already + 5000)
    proxy.cut()
    proxy.heal()
    for confirmation in sends:
        confirmation.result(RECOVERY)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=500, timeout=TIMEOUT)
    inbox.wait(101)
    while not inbox.stays_at(len(inbox.deliveries)):
        continue
    ids = [f"id-{number}" for number in range(101)]
    twice = len(inbox.deliveries) - len(ids)
    assert twice > 0
    assert in_order(ids, inbox.numbers)
    assert max(Counter(inbox.numbers).values()) == 2


def test_cuts_in_a_stream_lose_nothing(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """With the connection cut again and again under load, every confirmed event is received at least once."""
    provider = make_provider(port=proxy.port)
    event = an_event()
    seen: set[str] = set()
    done = threading.Event()

    def handle(delivery: object) -> None:
        seen.add(delivery.read().id)  # type: ignore[attr-defined]
        delivery.accept()  # type: ignore[attr-defined]
        if len(seen) == 3000:
            done.set()

    provider.subscribe(a_listener(event), handle, credit=50, timeout=TIMEOUT)
    sends = []
    for number in range(3000):
        sends.append(provider.send(an_envelope(number), event))
        if number % 750 == 500:
            sends[-300].result(RECOVERY)
            proxy.cut()
    for confirmation in sends:
        confirmation.result(RECOVERY)
    assert done.wait(RECOVERY), len(seen)


def test_a_silent_peer_is_lost(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """A peer that says nothing for two heartbeats is a lost connection; it is replaced when it can be."""
    states = States()
    provider = make_provider(port=proxy.port, heartbeat=0.5, connect_timeout=1.0, on_state=states)
    proxy.stall("down")
    lost = states.wait_for(lambda state: not state.connected, 5)
    assert "idle" in str(lost.error) or "timeout" in str(lost.error)
    proxy.heal()
    states.wait_for(lambda state: state.connected, RECOVERY, since=1)
    assert provider.connected


def test_a_silent_peer_is_lost_behind_a_full_socket(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """A peer that takes nothing any more is lost as soon; what could not be written goes over the next connection."""
    states = States()
    provider = make_provider(port=proxy.port, heartbeat=0.5, connect_timeout=1.0, on_state=states)
    event = an_event()
    provider.send(an_envelope(0), event).result(TIMEOUT)
    proxy.stall()
    sends = []
    for number in range(1, 41):
        envelope = an_envelope(number)
        envelope.body = b"[%b]" % (500_000 * b"1,")
        sends.append(provider.send(envelope, event))
    lost = states.wait_for(lambda state: not state.connected, 10)
    assert "idle" in str(lost.error)
    proxy.cut()
    proxy.heal()
    for confirmation in sends:
        confirmation.result(RECOVERY)


def test_a_quiet_connection_stays(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """Heartbeats keep a connection on which nothing happens."""
    states = States()
    provider = make_provider(port=proxy.port, heartbeat=0.3, on_state=states)
    Inbox().stays_at(0, 2.0)
    assert provider.connected
    assert [state.connected for state in states.seen] == [True]
    assert proxy.connections == 1


def test_a_password_that_changed(make_provider: MakeProvider, artemis: ArtemisBroker, proxy: TcpProxy) -> None:
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


def test_a_deleted_queue_comes_back(provider: AMQPProvider, artemis_management: ArtemisManagement) -> None:
    """When an administrator deletes a listener's queue, it is reported, declared and attached again."""
    states = States()
    provider._on_state = states
    event = an_event()
    listener = a_listener(event)
    inbox = Inbox()
    subscription = provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
    artemis_management.delete_queue(subscription.queue.partition("::")[2])
    refused = states.wait_for(lambda state: state.error is not None)
    assert refused.queue == subscription.queue
    assert refused.connected
    states.wait_for(lambda state: state.error is None and state.queue == subscription.queue)
    provider.send(an_envelope(4), event).result(TIMEOUT)
    assert inbox.wait(1)[0].read().id == "id-4"


def test_an_error_in_the_io_thread_reconnects(make_provider: MakeProvider, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong in the I/O thread is logged, tears the connection down, and ends in a new one."""
    states = States()
    provider = make_provider(on_state=states)
    provider.send(an_envelope(), an_event()).result(TIMEOUT)
    channel = provider._supervisor._channel
    assert channel is not None

    def fail() -> None:
        raise RuntimeError("a bug")

    channel.connection.on_wake = fail
    channel.connection.wake()
    lost = states.wait_for(lambda state: not state.connected)
    assert "a bug" in str(lost.error)
    assert "the I/O thread of" in caplog.text
    states.wait_for(lambda state: state.connected, RECOVERY, since=1)
    provider.send(an_envelope(), an_event()).result(TIMEOUT)


def test_declaring_and_subscribing_survive_a_cut(make_provider: MakeProvider, proxy: TcpProxy) -> None:
    """A call that is on its way when the connection breaks goes on over the next one, within its own time limit."""
    provider = make_provider(port=proxy.port)
    proxy.cut()
    inbox = Inbox()
    event = an_event()
    provider.subscribe(a_listener(event), inbox, credit=5, timeout=RECOVERY)
    provider.send(an_envelope(1), event).result(RECOVERY)
    assert inbox.wait(1)[0].read().id == "id-1"
