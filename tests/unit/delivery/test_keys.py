"""Order per key."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event import Envelope, Outcome, RetryPolicy, current_envelope
from aspyx_event.delivery.lanes import Item, Lanes
from tests.unit.delivery.events import Placed, listening
from tests.unit.fake_provider import FakeDelivery, FakeProvider
from tests.unit.support import Collected, Gate, managed


@pytest.mark.parametrize("asynchronous", [False, True])
def test_order_per_key(asynchronous: bool) -> None:
    """Events of one key are handled one after the other in order, failures and tries in place included."""
    log, lock, busy = defaultdict(list), threading.Lock(), set[str]()
    tries: dict[Any, int] = defaultdict(int)
    outcomes = Collected[Outcome]()

    def on(e: Placed) -> None:
        key = current_envelope().key  # type: ignore[union-attr]
        assert key is not None
        with lock:
            assert key not in busy
            busy.add(key)
            tries[key, e.number] += 1
            first = tries[key, e.number] == 1
        try:
            if first and e.number % 3 == 0:
                raise ValueError
            log[key].append(e.number)
        finally:
            with lock:
                busy.discard(key)

    async def on_async(e: Placed) -> None:
        on(e)

    policy = RetryPolicy(immediate=2, immediate_wait=(0,), delayed=())
    listener = listening(on_async if asynchronous else on)
    with managed(listener, retry=policy, workers=8, observers=[outcomes]) as manager:
        for number in range(30):
            for key in ("a", "b", "c", "d"):
                manager.send_event(Placed(number), key=key)
        outcomes.wait(120)
    assert log == {key: list(range(30)) for key in ("a", "b", "c", "d")}


def test_keys_do_not_block_each_other() -> None:
    """A slow event holds back its own key, and nothing else."""
    gate, seen = Gate(), Collected[Any]()

    def on(e: Placed) -> None:
        key = current_envelope().key  # type: ignore[union-attr]
        if e.number == 0 and key == "slow":
            gate.hold()
        seen((key, e.number))

    with managed(listening(on, prefetch=20), workers=2) as manager:
        manager.send_event(Placed(0), key="slow")
        gate.wait_reached()
        for number in (1, 2, 3):
            manager.send_event(Placed(number), key="slow")
            manager.send_event(Placed(number), key="quick")
            manager.send_event(Placed(number))
        assert [item for item in seen.wait(6) if item[0] == "slow"] == []
        gate.open()
        items = seen.wait(10)
    assert [number for key, number in items if key == "slow"] == [0, 1, 2, 3]


def test_a_backlog_of_one_key_does_not_keep_away_the_others() -> None:
    """More events of one key than the listener's credit wait behind a slow one; other keys are handled meanwhile."""
    seen, gate = Collected[Any](), Gate()

    def on(e: Placed) -> None:
        if e.number == 0:
            gate.hold()
        seen(e.number)

    with managed(listening(on), workers=2) as manager:
        manager.send_event(Placed(0), key="slow")
        gate.wait_reached()
        for number in range(1, 31):
            manager.send_event(Placed(number), key="slow")
        manager.send_event(Placed(99), key="quick")
        assert seen.wait(1) == [99]
        gate.open()
        assert seen.wait(32)[1:] == list(range(31))


def test_a_delayed_retry_does_not_hold_back_its_key() -> None:
    """Later events of a key go on while an earlier one waits for its delayed retry."""
    seen = Collected[Any]()

    def on(e: Placed) -> None:
        seen((e.number, current_envelope().attempt))  # type: ignore[union-attr]
        if e.number == 1 and current_envelope().attempt == 1:  # type: ignore[union-attr]
            raise ValueError

    policy = RetryPolicy(immediate=0, delayed=(0.2,), jitter=0)
    with managed(listening(on), retry=policy, workers=2) as manager:
        for number in (1, 2, 3):
            manager.send_event(Placed(number), key="k")
        assert seen.wait(4) == [(1, 1), (2, 1), (3, 1), (1, 2)]


def test_waiting_keys_are_released_in_order() -> None:
    """What waits behind its key when the manager stops is released unstarted, in reverse order of arrival."""
    provider, gate, order = FakeProvider(), Gate(), list[int]()

    class Ordered(FakeDelivery):
        def release(self) -> None:
            order.append(int(self.body[-2:-1]))
            super().release()

    with managed(listening(lambda e: gate.hold()), provider=provider, workers=2) as manager:
        for number in range(4):
            delivery = Ordered(provider, b'{"number": %d}' % number, {"cloudEvents_partitionkey": "k"})
            provider.subscriptions["listener"].on_delivery(delivery)
        gate.wait_reached()
        stopper = threading.Thread(target=manager.stop)
        stopper.start()
        delivery.settled.wait()
        gate.open()
        stopper.join()
    assert order == [3, 2, 1]


def item(key: str | None) -> Item:
    headers = {} if key is None else {"cloudEvents_partitionkey": key}
    return Item(FakeDelivery(FakeProvider(), b"", headers), Envelope(headers=headers))


@given(st.lists(st.sampled_from(["a", "b", None])), st.randoms())
def test_lanes(keys: list[str | None], random: Any) -> None:
    """However items come and go: one of a key at a time, each exactly once, in the order of its key."""
    lanes, items = Lanes(), [item(key) for key in keys]
    running = [i for i in items if lanes.admit(i)]
    finished: list[Item] = []
    while running:
        keyed = [i.envelope.key for i in running if i.envelope.key]
        assert len(keyed) == len(set(keyed))
        assert lanes.parked == len(items) - len(running) - len(finished)
        done = running.pop(random.randrange(len(running)))
        finished.append(done)
        following = lanes.leave(done)
        running += [following] if following else []
    assert len(finished) == len(items)
    assert lanes.parked == 0
    for key in ("a", "b"):
        assert [i for i in finished if i.envelope.key == key] == [i for i in items if i.envelope.key == key]
    assert all(lanes.admit(item(key)) for key in {k for k in keys if k})


def test_clear() -> None:
    """Clearing answers what waits, in order, and keeps the running ones' keys taken."""
    lanes = Lanes()
    first, second, third = item("k"), item("k"), item("k")
    assert [lanes.admit(i) for i in (first, second, third)] == [True, False, False]
    assert lanes.clear() == [second, third]
    assert lanes.parked == 0
    assert lanes.leave(first) is None
