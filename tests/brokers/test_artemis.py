"""The brokers of the tests keep their own promises."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from .artemis import ArtemisBroker
from .base import BrokerFailed
from .management import ArtemisManagement, ManagementError

pytestmark = pytest.mark.artemis

HOLDER = """
import os, signal, sys
from tests.brokers.artemis import ArtemisBroker
broker = ArtemisBroker().start()
print(broker.amqp_port, broker.directory, flush=True)
signal.pause()
"""


def test_a_durable_queue_survives_a_stop_and_a_kill(
    artemis: ArtemisBroker, artemis_management: ArtemisManagement
) -> None:
    """A restart keeps ports and data, in good order and after a crash."""
    settings = {"name": "survivor", "address": "infra", "routing-type": "MULTICAST", "durable": True}
    artemis_management.call("createQueue", json.dumps(settings), True)
    for kill in (False, True):
        artemis.restart(kill=kill)
        state = artemis_management.queue("survivor")
        assert state is not None
        assert (state.address, state.durable, state.auto_created) == ("infra", True, False)
    artemis_management.delete_queue("survivor")
    assert artemis_management.wait_for("survivor", lambda queue: queue is None) is None


def test_the_worker_may_not_manage(artemis: ArtemisBroker) -> None:
    """The second user is refused by the management address."""
    refused = ArtemisManagement(artemis.start(), user=artemis.worker_user, password=artemis.worker_password)
    with refused, pytest.raises(ManagementError, match="may not manage"):
        refused.queues()


@pytest.mark.parametrize("port", ["amqps_port", "stomps_port"])
def test_tls_shows_a_certificate_of_the_right_authority_only(artemis: ArtemisBroker, port: str) -> None:
    """The TLS acceptors are trusted with `ca` and not with `wrong_ca`."""
    address = (artemis.start().host, getattr(artemis, port))
    good = ssl.create_default_context(cafile=str(artemis.certificates.ca))
    with socket.create_connection(address, 10) as raw, good.wrap_socket(raw, server_hostname="127.0.0.1") as link:
        assert link.version() in ("TLSv1.2", "TLSv1.3")
    bad = ssl.create_default_context(cafile=str(artemis.certificates.wrong_ca))
    with (
        socket.create_connection(address, 10) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
        bad.wrap_socket(raw, server_hostname="127.0.0.1"),
    ):
        pass


def test_a_client_certificate_logs_in(artemis: ArtemisBroker) -> None:
    """The mutual acceptor authenticates by certificate, with SASL EXTERNAL."""
    from proton import SSLDomain
    from proton.utils import BlockingConnection

    artemis.start()
    domain = SSLDomain(SSLDomain.MODE_CLIENT)
    domain.set_trusted_ca_db(str(artemis.certificates.ca))
    domain.set_credentials(str(artemis.certificates.client_cert), str(artemis.certificates.client_key), None)
    domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
    # proton compares DNS names only: an IP address in the certificate does not count.
    url = f"amqps://localhost:{artemis.mutual_port}"
    connection: Any = BlockingConnection(url, timeout=10, ssl_domain=domain, allowed_mechs="EXTERNAL")
    connection.create_sender("infra").close()
    connection.close()


@pytest.mark.slow
def test_a_broker_does_not_outlive_its_holder(artemis: ArtemisBroker) -> None:
    """Also when the holder is killed, the broker and its folder go."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder.stdout:
        port, directory = holder.stdout.readline().split()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(10)
    pause, deadline = threading.Event(), time.monotonic() + 10
    while (_listens(int(port)) or Path(directory).exists()) and time.monotonic() < deadline:
        pause.wait(0.05)
    assert not _listens(int(port))
    assert not Path(directory).exists()


def test_an_early_end_shows_the_log() -> None:
    """A broker that cannot start says why at once."""
    broker = ArtemisBroker()
    try:
        broker.install()
        broker.prepare()
        broker._prepared = True
        (broker.directory / "instance" / "etc" / "bootstrap.xml").write_text("<broken")
        began = time.monotonic()
        with pytest.raises(BrokerFailed, match="ended early"):
            broker.start()
        assert time.monotonic() - began < 20
    finally:
        broker.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
