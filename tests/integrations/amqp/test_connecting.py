"""Start and stop: credentials, hosts, TLS, time limits, and what is left behind."""

from __future__ import annotations

import gc
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aspyx_event.exceptions import AuthenticationFailed, ConfigurationError, ProviderUnavailable
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.testing.proxy import TcpProxy
from tests.brokers.artemis import ArtemisBroker
from tests.brokers.management import ArtemisManagement
from tests.integrations.amqp.conftest import MakeProvider
from tests.integrations.amqp.support import TIMEOUT, Inbox, States, a_listener, an_envelope, an_event

pytestmark = pytest.mark.artemis

SECRET = "wr0ng-s3cret"


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_wrong_password_fails_at_once(make_provider: MakeProvider, caplog: pytest.LogCaptureFixture) -> None:
    """start() does not retry wrong credentials, and no message, log or repr shows the password."""
    caplog.set_level(logging.DEBUG)
    provider = make_provider(start=False, user="admin", password=SECRET)
    began = time.monotonic()
    with pytest.raises(AuthenticationFailed) as failed:
        provider.start(States(), timeout=30)
    assert time.monotonic() - began < 5
    assert SECRET not in f"{failed.value!r} {provider!r} {vars(provider)!r} {caplog.text}"


def test_nobody_listens_on_the_port(make_provider: MakeProvider) -> None:
    """A port that refuses is a ProviderUnavailable with host, port and phase, when the time is over."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(ProviderUnavailable, match=f"127.0.0.1:{port}: connect: Connection refused"):
        make_provider(port=port, timeout=1)
    assert 0.9 <= time.monotonic() - began < 3


def test_an_unknown_host(make_provider: MakeProvider) -> None:
    """A name that does not exist is a ProviderUnavailable that says so."""
    with pytest.raises(ProviderUnavailable, match=r"no-such-host\.invalid:\d+: resolve"):
        make_provider(host="no-such-host.invalid", timeout=2)


def test_a_silent_peer(make_provider: MakeProvider, deaf_port: int) -> None:
    """A peer that accepts and says nothing is given up after the connect time-out, in the phase it is stuck in."""
    began = time.monotonic()
    with pytest.raises(ProviderUnavailable, match=f"127.0.0.1:{deaf_port}: SASL"):
        make_provider(port=deaf_port, timeout=1)
    assert time.monotonic() - began < 3


def test_a_peer_that_speaks_something_else(make_provider: MakeProvider) -> None:
    """An HTTP server on the port is a ProviderUnavailable, not a crash."""

    def answer(server: socket.socket) -> None:
        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        try:
            with pytest.raises(ProviderUnavailable, match="SASL"):
                make_provider(port=server.getsockname()[1], timeout=1)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_the_next_host_is_tried(make_provider: MakeProvider, artemis: ArtemisBroker, deaf_port: int) -> None:
    """Hosts are tried in order within one attempt: a dead one and a deaf one do not keep from the third."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = taken.getsockname()[1]
    hosts = tuple(("127.0.0.1", port) for port in (dead, deaf_port, artemis.amqp_port))
    provider = make_provider(hosts=hosts, connect_timeout=0.5)
    assert provider.connected


def test_tls(make_provider: MakeProvider, artemis: ArtemisBroker) -> None:
    """Over TLS, with the authority given, events are sent and received."""
    provider = make_provider(port=artemis.amqps_port, ca_file=str(artemis.certificates.ca))
    event = an_event()
    inbox = Inbox()
    provider.subscribe(a_listener(event), inbox, credit=5, timeout=TIMEOUT)
    envelope = an_envelope()
    envelope.body = b"x" * 500_000
    provider.send(envelope, event).result(TIMEOUT)
    assert inbox.wait(1)[0].read().body == envelope.body


@pytest.mark.parametrize("trusted", ["wrong_ca", None])
def test_an_unknown_authority(make_provider: MakeProvider, artemis: ArtemisBroker, trusted: str | None) -> None:
    """A certificate that no trusted authority signed is refused at once, with a hint at ca_file."""
    files = {"ca_file": str(getattr(artemis.certificates, trusted))} if trusted else {"tls": True}
    began = time.monotonic()
    with pytest.raises(ProviderUnavailable, match=r"TLS handshake failed.*certificate.*ca_file"):
        make_provider(port=artemis.amqps_port, **files)
    assert time.monotonic() - began < 5


def test_a_certificate_for_another_host(
    make_provider: MakeProvider, artemis: ArtemisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that does not name the host is refused, although its authority is trusted."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest, **options: resolve("127.0.0.1", *rest, **options))
    with pytest.raises(ProviderUnavailable, match=r"TLS handshake failed.*broker\.example\.test"):
        make_provider(host="broker.example.test", port=artemis.amqps_port, ca_file=str(artemis.certificates.ca))


def test_tls_to_a_plain_port(make_provider: MakeProvider, artemis: ArtemisBroker) -> None:
    """TLS towards a port that speaks plain AMQP fails in the TLS handshake, within the time limit."""
    with pytest.raises(ProviderUnavailable, match="TLS handshake"):
        make_provider(tls=True, ca_file=str(artemis.certificates.ca), connect_timeout=1, timeout=2)


def test_plain_to_a_tls_port(make_provider: MakeProvider, artemis: ArtemisBroker) -> None:
    """Plain AMQP towards a TLS port is a ProviderUnavailable."""
    with pytest.raises(ProviderUnavailable):
        make_provider(port=artemis.amqps_port, connect_timeout=1, timeout=2)


def test_a_client_certificate_logs_in(make_provider: MakeProvider, artemis: ArtemisBroker) -> None:
    """Without a user, the client's certificate logs in by SASL EXTERNAL."""
    files = artemis.certificates
    provider = make_provider(
        port=artemis.mutual_port,
        user="",
        password="",
        ca_file=str(files.ca),
        cert_file=str(files.client_cert),
        key_file=str(files.client_key),
    )
    provider.send(an_envelope(), an_event()).result(TIMEOUT)


def test_files_that_are_no_certificates(make_provider: MakeProvider, tmp_path: Path) -> None:
    """Files that cannot be used are a ConfigurationError that names the option, before anything is connected."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("not a certificate")
    with pytest.raises(ConfigurationError, match="ca_file"):
        make_provider(ca_file=str(nonsense))
    with pytest.raises(ConfigurationError, match="cert_file"):
        make_provider(cert_file=str(nonsense))


def test_anonymous_is_refused(make_provider: MakeProvider) -> None:
    """Without a user and where the broker wants one, start() fails at once."""
    began = time.monotonic()
    with pytest.raises((AuthenticationFailed, ProviderUnavailable)):
        make_provider(user="", password="", timeout=3)
    assert time.monotonic() - began < 5


def test_start_and_stop_twenty_times(make_provider: MakeProvider, artemis_management: ArtemisManagement) -> None:
    """A provider can be started and stopped again and again; no thread, descriptor or temporary queue stays."""
    event = an_event()
    listener = a_listener(event)
    provider = make_provider(start=False)

    def round_trip() -> None:
        provider.start(States(), timeout=TIMEOUT)
        inbox = Inbox()
        subscription = provider.subscribe(listener, inbox, credit=5, timeout=TIMEOUT)
        provider.send(an_envelope(), event).result(TIMEOUT)
        inbox.wait(1)[0].accept()
        subscription.close(TIMEOUT)
        assert list(provider.browse("error", timeout=TIMEOUT)) is not None
        provider.stop(timeout=TIMEOUT)
        provider.stop(timeout=TIMEOUT)
        assert not provider.connected

    round_trip()
    gc.collect()
    artemis_management.queues()
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    queues = int(artemis_management.attribute("queueCount"))
    for _ in range(20):
        round_trip()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors
    deadline = time.monotonic() + TIMEOUT
    while int(artemis_management.attribute("queueCount")) > queues:  # the broker removes them in its own time
        assert time.monotonic() < deadline
        Inbox().stays_at(0, 0.05)


def test_stop_flushes_settlements(make_provider: MakeProvider, artemis_management: ArtemisManagement) -> None:
    """What was accepted just before stop() is accepted, what was not settled goes back."""
    provider = make_provider()
    event = an_event()
    listener = a_listener(event)
    inbox = Inbox()
    provider.subscribe(listener, inbox, credit=500, timeout=TIMEOUT)
    for confirmation in [provider.send(an_envelope(number), event) for number in range(200)]:
        confirmation.result(TIMEOUT)
    for delivery in inbox.wait(200)[:150]:
        delivery.accept()
    provider.stop(timeout=TIMEOUT)
    assert not any(delivery.alive for delivery in inbox.deliveries)
    artemis_management.wait_for(  # it notes what was accepted a moment after the consumer is gone
        provider.queue_name(listener).partition("::")[2],
        lambda state: state is not None and (state.consumer_count, state.message_count) == (0, 50),
    )


def test_stop_of_a_stalled_connection(make_provider: MakeProvider, artemis: ArtemisBroker) -> None:
    """A broker that does not answer any more cannot keep stop() beyond its time."""
    with TcpProxy(artemis.host, artemis.amqp_port) as proxy:
        provider = make_provider(port=proxy.port)
        proxy.stall()
        began = time.monotonic()
        provider.stop(timeout=0.5)
        assert time.monotonic() - began < 3


def test_never_started(make_provider: MakeProvider) -> None:
    """A provider that was never started says so, and can be stopped."""
    provider: AMQPProvider = make_provider(start=False)
    with pytest.raises(ProviderUnavailable):
        provider.declare("error", timeout=0.2)
    provider.stop(timeout=1)
    assert "not connected" in repr(provider)
