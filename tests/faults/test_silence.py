"""Peers that say nothing: on a connection that works, and at every step of a start."""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from aspyx_event import EventManager, ProviderUnavailable
from aspyx_event.testing.proxy import TcpProxy
from tests.faults.crash.cast import Cast
from tests.faults.crash.scene import PATIENCE, Scene
from tests.faults.pairs import Pair
from tests.leaks import Resources, leaked_since

logger = logging.getLogger(__name__)

HEARTBEAT = 4.0
INTERVALS = {"amqp": 2.0, "stomp": 2.5}
"""After how many of them a silent connection counts as lost, as the documentation says."""
LATE = 3.0
"""Seconds for noticing it, on a busy machine; less than one more heartbeat."""
TIMEOUT = 2.0
SLOWNESS = 4.0
"""Seconds that a start may take longer than its timeout, on a busy machine."""
LOGIN = {"amqp": r"SASL: no answer|AMQP open: no answer", "stomp": r"CONNECT: no answer"}
STEPS = 16
TRIES = 5
LAST = 12
"""Bytes that belong to the last answer of a start: that to the attach of its listener."""


@pytest.fixture
def scene(pair: Pair, tmp_path: Path) -> Iterator[Scene]:
    """An event of this test's own."""
    made = Scene(pair, tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_a_silent_connection_is_lost_after_two_heartbeats(scene: Scene) -> None:
    """A peer that takes bytes and says nothing is noticed in time, and the connection is made again."""
    first, second = scene.ids(2)
    with scene.proxy() as proxy, scene.manager(listen=True, port=proxy.port, heartbeat=HEARTBEAT) as manager:
        scene.send(manager, first)
        scene.wait_handled([first])
        began = time.monotonic()
        proxy.stall()
        scene.wait(lambda: not manager.provider.connected, "the silence is noticed")
        noticed = time.monotonic() - began
        logger.info("%s: noticed after %.1f s", scene.pair.name, noticed)
        assert HEARTBEAT - 1 <= noticed <= INTERVALS[scene.pair.protocol] * HEARTBEAT + LATE
        proxy.cut()
        proxy.heal()
        scene.wait(lambda: manager.health().ready, "it is connected again")
        scene.send(manager, second, timeout=PATIENCE)
        scene.wait_handled([second])


# -- at the start


def _fails(pair: Pair, cast: Cast, port: int, *, timeout: float = TIMEOUT, **options: object) -> str:
    """What a start says that gets no answer; it ends in time."""
    manager = EventManager(_url(pair, port, **options), registry=cast.registry)
    began = time.monotonic()
    with pytest.raises(ProviderUnavailable) as caught:
        manager.start(timeout=timeout)
    assert time.monotonic() - began < timeout + SLOWNESS
    assert type(caught.value) is ProviderUnavailable
    assert f"127.0.0.1:{port}: " in str(caught.value)
    assert not manager.provider.connected
    return str(caught.value)


def _works(pair: Pair, cast: Cast, port: int, **options: object) -> None:
    """A start over the same port, after the silence."""
    manager = EventManager(_url(pair, port, **options), registry=cast.registry)
    manager.start(timeout=PATIENCE)
    manager.stop()


def _url(pair: Pair, port: int, **options: object) -> str:
    url = pair.url(port=port, server_name="deaf", **options)
    return url.replace("://", "s://", 1) if "ca_file" in options else url


@contextmanager
def _port_without_an_answer() -> Iterator[int]:
    """A port whose queue of connections is full: the next one gets no answer at all, not even a refusal."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@pytest.fixture
def cast(scene: Scene, tmp_path: Path) -> Iterator[Cast]:
    """The scene's event and listener, for managers of their own."""
    made = Cast(scene.name, tmp_path / "ledger")
    yield made
    made.ledger.close()


def test_silence_at_the_tcp_connect(pair: Pair, cast: Cast) -> None:
    """A host that does not even answer to the connection: start() ends in time and says ``connect``."""
    before = Resources.now()
    with _port_without_an_answer() as port:
        assert "connect: no answer in time" in _fails(pair, cast, port)
    assert not leaked_since(before)
    _works(pair, cast, pair.port)


def test_silence_at_the_tls_handshake(pair: Pair, cast: Cast) -> None:
    """A peer that accepts and answers no TLS: start() ends in time and says so; later on it works."""
    port: int = getattr(pair.broker, f"{pair.protocol}s_port")
    ca_file = quote(str(pair.broker.certificates.ca), safe="/")
    with TcpProxy(pair.broker.host, port) as proxy:
        before = Resources.now()
        proxy.deaf()
        assert "TLS handshake: no answer in time" in _fails(pair, cast, proxy.port, ca_file=ca_file)
        proxy.cut()
        assert not leaked_since(before)
        proxy.heal()
        _works(pair, cast, proxy.port, ca_file=ca_file)


def test_silence_at_the_login(pair: Pair, cast: Cast) -> None:
    """A peer that accepts and says nothing: start() ends in time and names the step of the login."""
    with TcpProxy(pair.broker.host, pair.port) as proxy:
        before = Resources.now()
        proxy.stall("down")
        assert re.search(LOGIN[pair.protocol], _fails(pair, cast, proxy.port))
        proxy.cut()
        assert not leaked_since(before)
        proxy.heal()
        _works(pair, cast, proxy.port)


def test_silence_after_any_number_of_bytes(pair: Pair, cast: Cast) -> None:
    """Wherever in a start the broker falls silent, the error says what start() was at: login, or which name."""
    total = _bytes_of_a_start(pair, cast)
    step = rf"{LOGIN[pair.protocol]}|(declaring|attaching) (queue|event|listener) '[^']*{pair.prefix}[^']*': "
    with ExitStack() as stack:
        proxies = [stack.enter_context(TcpProxy(pair.broker.host, pair.port)) for _ in range(STEPS)]
        before = Resources.now()
        for number, proxy in enumerate(proxies):
            proxy.stall("down", after_bytes=total * number // STEPS)
        with ThreadPoolExecutor(STEPS) as threads:
            found = list(threads.map(lambda proxy: _fails(pair, cast, proxy.port), proxies))
        for proxy in proxies:
            proxy.cut()
        assert not leaked_since(before)
        assert [text for text in found if not re.search(step, text)] == []
        assert re.search(LOGIN[pair.protocol], found[0])
        words = {text.partition(" ")[0] for text in found}
        assert "declaring" in words
        proxies[-1].heal()
        _works(pair, cast, proxies[-1].port)


def _bytes_of_a_start(pair: Pair, cast: Cast) -> int:
    """How much a broker says during a start on which everything is there already."""
    _works(pair, cast, pair.port)
    with TcpProxy(pair.broker.host, pair.port) as proxy:
        manager = EventManager(_url(pair, proxy.port), registry=cast.registry)
        manager.start()
        total = proxy.bytes_forwarded("down")
        manager.stop()
    return total


def test_silence_at_the_attach(pair: Pair, cast: Cast) -> None:
    """A broker that says nothing to the attach of a listener: start() ends in time and names the listener."""
    (listener,) = cast.registry.listeners
    found = ""
    with TcpProxy(pair.broker.host, pair.port) as proxy:
        before = Resources.now()
        for _ in range(TRIES):  # starts differ by some bytes: one may fall silent a little before
            proxy.stall("down", after_bytes=_bytes_of_a_start(pair, cast) - LAST)
            found = _fails(pair, cast, proxy.port, timeout=3 * TIMEOUT)  # it has to get there first
            logger.info("%s: %s", pair.name, found)
            proxy.cut()
            assert not leaked_since(before)
            proxy.heal()
            if found.startswith("attaching"):
                break
        assert found.startswith(f"attaching listener {listener.name!r}: ")
        _works(pair, cast, proxy.port)
