"""Starting and stopping: what is refused, how soon, with which words; and that nothing is left."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any

import pytest

from aspyx_event.exceptions import AuthenticationFailed, ConfigurationError, LifecycleError, ProviderUnavailable
from aspyx_event.testing.proxy import TcpProxy
from tests.brokers.host import free_ports
from tests.integrations.amqp.support import TIMEOUT, Inbox, States, a_listener, an_envelope, an_event
from tests.integrations.stomp.conftest import MakeProvider, only


def test_start_and_stop_twenty_times(make_provider: MakeProvider) -> None:
    """The same provider starts again after a stop, with all its threads; the leak check sees that none is left."""
    provider = make_provider(start=False)
    event = an_event()
    listener = a_listener(event)
    for number in range(20):
        provider.start(States(), timeout=TIMEOUT)
        inbox = Inbox()
        provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
        provider.send(an_envelope(number), event).result(TIMEOUT)
        inbox.wait(1)[0].accept()
        assert inbox.numbers == [f"id-{number}"]
        provider.stop(timeout=TIMEOUT)
        provider.stop(timeout=TIMEOUT)
        assert not any("aspyx-stomp" in thread.name for thread in threading.enumerate())


def test_a_wrong_password_fails_at_once(make_provider: MakeProvider) -> None:
    """Wrong credentials are not tried again."""
    began = time.monotonic()
    with pytest.raises(AuthenticationFailed, match="does not accept the credentials"):
        make_provider(password="wr0ng", timeout=20)
    assert time.monotonic() - began < 5


def test_the_password_is_never_logged(make_provider: MakeProvider, caplog: pytest.LogCaptureFixture) -> None:
    """Neither we nor stomp.py write the password, at any level; nor do errors and reprs."""
    caplog.set_level(logging.DEBUG)
    for name in ("stomp.py", "aspyx_event"):
        caplog.set_level(logging.DEBUG, logger=name)
    provider = make_provider()
    with pytest.raises(AuthenticationFailed) as refused:
        make_provider(password="an0ther-s3cret")
    text = caplog.text + repr(provider) + repr(provider._settings) + repr(provider._channel) + str(refused.value)
    assert "s3cret" not in text
    assert "passcode" not in text


@only("rabbitmq")
def test_a_wrong_virtual_host_is_named(make_provider: MakeProvider) -> None:
    """A virtual host that is not there is an error of the configuration."""
    with pytest.raises(ConfigurationError, match="virtual_host"):
        make_provider(virtual_host="nowhere", timeout=20)


@only("artemis")
def test_a_refused_connection_names_the_phase(make_provider: MakeProvider) -> None:
    """Nobody listening: the error says host, port and step, when the time is over."""
    (port,) = free_ports(1)
    with pytest.raises(ProviderUnavailable, match=rf"127\.0\.0\.1:{port}: TCP connect: Connection refused"):
        make_provider(port=port, timeout=0.7)


@only("artemis")
def test_a_mute_server_names_the_phase(make_provider: MakeProvider) -> None:
    """A server that accepts and says nothing ends the attempt after connect_timeout, or the start after its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable, match=rf"{port}: CONNECT: no answer in time"):
            make_provider(port=port, connect_timeout=0.3, timeout=1)
        assert time.monotonic() - began < 3


@only("artemis")
def test_the_next_host_is_tried(make_provider: MakeProvider, broker: Any) -> None:
    """Of several hosts the first one that answers is taken."""
    (port,) = free_ports(1)
    provider = make_provider(hosts=((broker.host, port), (broker.host, broker.stomp_port)))
    assert provider.connected


@only("artemis", "rabbitmq")
def test_tls_is_verified(make_provider: MakeProvider, broker: Any) -> None:
    """Over TLS with the right authority it works; with another one, or the system's, start fails at once."""
    tls = broker.certificates
    provider = make_provider(port=broker.stomps_port, ca_file=tls.ca)
    event = an_event()
    inbox = Inbox()
    provider.subscribe(a_listener(event), inbox, credit=300, timeout=TIMEOUT)
    for confirmation in [provider.send(an_envelope(number), event) for number in range(300)]:
        confirmation.result(TIMEOUT)
    for delivery in inbox.wait(300):
        delivery.accept()
    for options in ({"ca_file": tls.wrong_ca}, {"tls": True}):
        with pytest.raises(ProviderUnavailable, match="certificate verify failed"):
            make_provider(port=broker.stomps_port, timeout=20, **options)


@only("artemis", "rabbitmq")
def test_a_close_is_noticed_under_tls(make_provider: MakeProvider, broker: Any) -> None:
    """When the server closes a TLS connection it is noticed at once, without a heartbeat, and replaced."""
    states = States()
    with TcpProxy(broker.host, broker.stomps_port) as proxy:
        provider = make_provider(port=proxy.port, ca_file=broker.certificates.ca, heartbeat=60, on_state=states)
        began = time.monotonic()
        proxy.cut(refuse=True)
        states.wait_for(lambda state: not state.connected)
        assert time.monotonic() - began < 2
        cpu = time.process_time()
        threading.Event().wait(0.5)
        assert time.process_time() - cpu < 0.3
        proxy.heal()
        states.wait_for(lambda state: state.connected, since=1)
        provider.send(an_envelope(), an_event()).result(TIMEOUT)
        provider.stop(timeout=5)


@only("artemis")
def test_plain_text_to_a_tls_port(make_provider: MakeProvider, broker: Any) -> None:
    """Speaking TLS to a plain port, or the other way round, is said in words."""
    with pytest.raises(ProviderUnavailable, match="TLS handshake"):
        make_provider(port=broker.stomp_port, ca_file=broker.certificates.ca, timeout=2)
    with pytest.raises(ProviderUnavailable, match="CONNECT"):
        make_provider(port=broker.stomps_port, timeout=2)


@only("artemis")
def test_what_needs_a_start(make_provider: MakeProvider) -> None:
    """Before start and after stop nothing is declared or read; a send fails at once."""
    provider = make_provider(start=False)
    event = an_event()
    with pytest.raises(LifecycleError, match="start the provider"):
        provider.declare(event, timeout=1)
    assert isinstance(provider.send(an_envelope(), event).exception(0), ProviderUnavailable)
    provider.start(States(), timeout=TIMEOUT)
    with pytest.raises(LifecycleError, match="started already"):
        provider.start(States(), timeout=1)
    provider.stop(timeout=5)
    with pytest.raises(LifecycleError, match="start the provider"):
        provider.browse(provider.error_queue, timeout=1)
    failed = provider.send(an_envelope(7), event).exception(0)
    assert isinstance(failed, ProviderUnavailable)
    assert failed.event_id == "id-7"


@only("artemis")
def test_a_stop_during_an_outage(make_provider: MakeProvider, broker: Any) -> None:
    """A provider that is reconnecting stops at once."""
    states = States()
    with TcpProxy(broker.host, broker.stomp_port) as proxy:
        provider = make_provider(port=proxy.port, on_state=states)
        provider.subscribe(a_listener(an_event()), Inbox(), credit=1, timeout=TIMEOUT)
        proxy.cut(refuse=True)
        states.wait_for(lambda state: not state.connected)
        waiting = provider.send(an_envelope(), an_event())
        began = time.monotonic()
        provider.stop(timeout=10)
        assert time.monotonic() - began < 2
        assert isinstance(waiting.exception(0), ProviderUnavailable)
