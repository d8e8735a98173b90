"""Many of everything in one process, a long queue, and a listener that never returns.

More of it: ``python -m tests.faults.load crowd`` and ``... queue --events 1000000``.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from aspyx_event.testing.proxy import TcpProxy
from tests.faults.ledger import HANDLED
from tests.faults.load import crowd, queue
from tests.faults.load.desk import running
from tests.faults.pairs import Pair
from tests.faults.waiting import wait_until

SHORT = crowd.Crowd(types=40, listeners=100, senders=16, workers=32, events=800)
LONG_QUEUE = 10_000
MORE_MEMORY = 8.0
"""MiB that a consumer may grow by while it empties the queue, whose events take 20 as bytes alone."""
HEARTBEAT = 1


@pytest.mark.timeout(240)
def test_a_crowd(pair: Pair) -> None:
    """A hundred listeners of forty event types, with 16 sending threads and 32 workers: started and stopped within the
    usual timeouts, and each event is handled exactly once by each of its listeners."""
    found = crowd.run(pair.url(), pair.prefix, SHORT, timeout=90)
    assert not found.wrong, found
    assert found.abandoned == 0, found


@pytest.mark.timeout(240)
def test_a_long_queue(pair: Pair) -> None:
    """A consumer that empties a long queue needs no more memory at its end than at its beginning, and gets each event
    once."""
    found = queue.run(pair.url(), pair.prefix, LONG_QUEUE, timeout=60)
    assert (found.missing, found.duplicates) == (0, 0), found
    assert found.growth <= MORE_MEMORY, found


@pytest.mark.timeout(240)
def test_a_listener_that_never_returns(pair: Pair, tmp_path: Path) -> None:
    """While a listener blocks all the workers that it may have, another one goes on, the connection outlives
    several heartbeats, and stop() ends in time and tells what it gave up, which comes again after the next start."""
    with (
        TcpProxy(pair.broker.host, pair.port) as proxy,
        running(pair, tmp_path, port=proxy.port, heartbeat=HEARTBEAT) as desk,
    ):
        desk.send_many(4)
        desk.wait_handled()
        desk.gate.clear()
        stuck = desk.send()
        assert stuck
        wait_until(lambda: desk.manager.health().listeners["reader"].in_flight, desk.manager.health)
        before = proxy.connections
        threading.Event().wait(HEARTBEAT * 5)
        assert proxy.connections == before, "it had to connect again"
        desk.send_many(20)
        wait_until(lambda: desk.seen >= set(desk.sent), desk.manager.health)
        result = desk.manager.stop(timeout=2)
        assert stuck in {abandoned.event_id for abandoned in result.abandoned}, result
        assert {abandoned.listener for abandoned in result.abandoned} == {"reader"}, result
        desk.gate.set()
        desk.manager.start()
        wait_until(lambda: desk.ledger.ids(HANDLED)[stuck] >= 2, desk.manager.health)  # here, and where it was stuck
        desk.wait_handled()
        assert not desk.account.lost, desk.account
