"""An error queue that cannot be written: nothing is settled, only that listener waits, and it recovers by itself."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.faults.ledger import DEAD
from tests.faults.load.desk import Desk, running
from tests.faults.load.limits import full_after_one
from tests.faults.pairs import Pair
from tests.faults.waiting import wait_until


def dead_letters(desk: Desk) -> list[str]:
    """The ids in the error queue."""
    return [letter.id for letter in desk.manager.dead_letters()]


@pytest.mark.timeout(240)
def test_a_full_error_queue(pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While the error queue is full, the failing listener pauses with its event unsettled and other listeners go on;
    once there is room the dead letter is there, once, and the listener goes on.

    Where the broker refuses by ending the connection (RabbitMQ over STOMP), events under way on it may come again:
    twice, then each goes alone.
    """
    again = 2 if pair.name == "stomp/rabbitmq" else 0
    caplog.set_level(logging.WARNING)
    with running(pair, tmp_path) as desk:
        first = desk.send(bad=True)
        assert first
        wait_until(lambda: desk.dead_lettered == 1, desk.manager.health)
        with full_after_one(pair, desk.manager.provider.error_queue):
            second = desk.send(bad=True)
            assert second
            desk.wait_state("paused")
            assert any("was not confirmed" in record.getMessage() for record in caplog.records)
            desk.send_many(5)
            wait_until(lambda: desk.seen >= set(desk.sent), desk.manager.health)
            health = desk.manager.health()
            assert (health.status, health.live, health.ready) == ("degraded", True, True)
            assert health.listeners["reader"].in_flight >= 1
            assert health.listeners["bystander"].state == "running"
            assert desk.dead_lettered == 1
        wait_until(lambda: desk.dead_lettered >= 2, desk.manager.health, timeout=90)
        desk.wait_state("running")
        letters = {letter.id: letter for letter in desk.manager.dead_letters()}
        found = dead_letters(desk)
        assert list(dict.fromkeys(found)) == [first, second]
        assert len(found) <= 2 + again
        letter = letters[second]
        queue = f"{desk.address}::{pair.prefix}.reader"
        assert (letter.reason, letter.listener, letter.queue, letter.attempts) == ("rejected", "reader", queue, 1)
        assert letter.body == letters[first].body
        desk.ledger.enter(DEAD, *letters)
        desk.wait_handled()
        account = desk.account
        assert not account.lost, account
        assert account.duplicates <= again * len(desk.sent), account
