"""A broker that has no room: senders wait and then hear of it, consumers go on, and it all recovers by itself."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.ledger import CONFIRMED, HANDLED, REFUSED, SENT
from tests.faults.load.desk import Desk, running
from tests.faults.load.limits import address_limit
from tests.faults.pairs import PAIRS, Pair

TIMEOUT = 2.0
SLACK = 10.0
"""Seconds that a busy machine may need to notice a timeout."""
REFUSALS = {"SendTimeout", "SendRejected", "ProviderUnavailable"}


@pytest.fixture(params=[param for param in PAIRS if "rabbitmq" in str(param.id)])
def on_rabbitmq(request: pytest.FixtureRequest) -> Pair:
    """The pairs with RabbitMQ."""
    return Pair.on(request.param, request.getfixturevalue("rabbitmq"))


def check_refusals(desk: Desk, took: float, rounds: int) -> None:
    """Every send ended in time, confirmed or with one of our errors."""
    ledger = desk.ledger
    assert set(ledger.notes(REFUSED)) <= REFUSALS, ledger.notes(REFUSED)
    assert set(ledger.ids(SENT)) == set(ledger.ids(CONFIRMED)) | set(ledger.ids(REFUSED))
    assert took < rounds * TIMEOUT + SLACK


def check_account(desk: Desk) -> None:
    """Nothing confirmed is lost, and nothing came twice."""
    account = desk.account
    assert not account.lost, account
    assert account.duplicates == 0, account
    assert set(desk.ledger.ids(HANDLED)) <= set(desk.ledger.ids(SENT))


@pytest.mark.artemis
@pytest.mark.parametrize(("protocol", "policy"), [("amqp", "BLOCK"), ("amqp", "FAIL"), ("stomp", "FAIL")])
def test_a_full_address(artemis: Any, protocol: str, policy: str, tmp_path: Path) -> None:
    """While an address of Artemis is full, sends end in time with our errors; what it holds is handled, and then it
    takes events again. (BLOCK does not hold back STOMP: twenty times the limit was taken.)"""
    pair = Pair.on(f"{protocol}/artemis", artemis)
    with running(pair, tmp_path, size=2_000, heartbeat=2) as desk, ExitStack() as stack:
        desk.send_many(4)
        desk.wait_handled()
        stack.enter_context(address_limit(artemis, desk.address, policy, 200_000))
        desk.gate.clear()
        began = time.monotonic()
        desk.send_until_refused(2, timeout=TIMEOUT, most=500)
        full = time.monotonic() - began
        desk.gate.set()
        desk.wait_handled()
        desk.send_many(50)
        desk.wait_handled()
        check_refusals(desk, full, 6)
        wanted = {"BLOCK": "SendTimeout", "FAIL": "SendRejected"}[policy]
        assert set(desk.ledger.notes(REFUSED)) == {wanted}
        check_account(desk)


@pytest.mark.parametrize("resource", ["memory", "disk"])
def test_an_alarm(on_rabbitmq: Pair, resource: str, tmp_path: Path) -> None:
    """While RabbitMQ has an alarm of memory or disk, sends end in time with our errors, for longer than two heartbeats;
    listeners go on, and after the alarm so do the senders."""
    broker = on_rabbitmq.broker
    with running(on_rabbitmq, tmp_path, heartbeat=2) as desk, ExitStack() as stack:
        desk.send_many(4)
        desk.wait_handled()
        desk.gate.clear()
        desk.send_many(50)
        broker.alarm(resource, True)
        stack.callback(broker.alarm, resource, False)
        began = time.monotonic()
        desk.send_until_refused(3, timeout=TIMEOUT, most=500)
        blocked = time.monotonic() - began
        desk.gate.set()
        desk.wait_handled()
        assert desk.send(timeout=TIMEOUT) is None, "the alarm was there all the time"
        stack.close()
        desk.send_many(50)
        desk.wait_handled()
        check_refusals(desk, blocked, 6)
        check_account(desk)
