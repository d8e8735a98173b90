"""The inbox and the throttle: who may start, and that no wake-up is lost."""

from __future__ import annotations

import random
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event import EventError, Outcome, ProviderError, RetryPolicy, SendRejected
from aspyx_event.delivery import inbox as inbox_module
from aspyx_event.delivery import throttle as throttle_module
from aspyx_event.delivery.calls import Call
from aspyx_event.delivery.credit import MAXIMUM, MEASURED_EVERY, Credit, adapted_credit
from aspyx_event.delivery.inbox import Inbox
from aspyx_event.delivery.lanes import Item
from aspyx_event.delivery.throttle import FAILURES_IN_A_ROW, PROBE_EVERY, Throttle
from tests.unit.delivery.events import Placed, listening
from tests.unit.fake_provider import FakeDelivery, FakeProvider, confirmed, refused
from tests.unit.support import DEADLINE, Collected, managed, often_switched


def delivery(key: str | None = None) -> FakeDelivery:
    return FakeDelivery(FakeProvider(), b"", {} if key is None else {"cloudEvents_partitionkey": key})


def called(inbox: Inbox) -> Call:
    """A worker that was called, and has not come yet."""
    call = Call()
    inbox.called(call)
    return call


def opened(concurrency: int) -> Inbox:
    inbox = Inbox(concurrency)
    inbox.open()
    return inbox


def test_workers_are_wanted_up_to_the_concurrency() -> None:
    """A burst wants one worker, which wants the next one, until there are as many as may run."""
    inbox = opened(2)
    assert inbox.put(delivery())
    one = called(inbox)
    assert [inbox.put(delivery()) for _ in range(2)] == [False, False]
    first, another = inbox.take(one)
    assert first is not None
    assert another
    second, another = inbox.take(called(inbox))
    assert second is not None
    assert not another
    assert inbox.in_flight == 3
    inbox.done(first)
    assert inbox.take(one)[0] is not None
    assert not inbox.wants_worker()


def test_each_of_those_that_are_kept_gets_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that can never be written does not keep those of others from being written."""
    monkeypatch.setattr(inbox_module, "PAUSE", 0.0)
    inbox = opened(2)
    for _ in range(2):
        inbox.put(delivery())
    worker = called(inbox)
    never, other = inbox.take(worker)[0], inbox.take(worker)[0]
    assert never is not None
    assert other is not None
    inbox.keep(never, "too large")
    inbox.keep(other, "full")
    assert inbox.take(worker)[0] is never
    inbox.keep(never, "too large")
    assert inbox.take(worker)[0] is other


def test_a_burst_that_is_over_wakes_nobody() -> None:
    """A worker that leaves nothing behind wants no other one, and the next delivery does."""
    inbox = opened(2)
    assert inbox.put(delivery())
    first, another = inbox.take(called(inbox))
    assert first is not None
    assert not another
    assert inbox.put(delivery())
    assert inbox.take(called(inbox))[0] is not None


def test_a_worker_that_ends_its_turn() -> None:
    """A worker that ends its turn is wanted again when something waits, and not when nothing does."""
    inbox = opened(1)
    assert inbox.put(delivery())
    first, _ = inbox.take(called(inbox))
    assert first is not None
    assert not inbox.put(delivery())
    inbox.done(first)
    inbox.worker_gone()
    assert inbox.wants_worker()
    second, _ = inbox.take(called(inbox))
    assert second is not None
    inbox.done(second)
    inbox.worker_gone()
    assert not inbox.wants_worker()
    assert inbox.put(delivery())


def test_nothing_starts_before_it_is_open() -> None:
    """Until it is open nothing is wanted; then what waits is."""
    inbox = Inbox(1)
    assert not inbox.put(delivery())
    assert not inbox.wants_worker()
    inbox.open()
    assert inbox.wants_worker()
    assert inbox.take(called(inbox))[0] is not None


def test_a_worker_that_could_not_be_called() -> None:
    """Where the call for a worker was interrupted, it is wanted still; one that comes too much finds nothing to do."""
    inbox = opened(1)
    assert inbox.put(delivery())
    assert inbox.wants_worker()
    lost, noted = Call(), called(inbox)
    assert not inbox.wants_worker()
    first, _ = inbox.take(lost)
    assert first is not None
    assert inbox.take(noted) == (None, False)
    assert not inbox.put(delivery())
    inbox.done(first)
    assert inbox.take(lost)[0] is not None


def test_closed() -> None:
    """A closed inbox releases what waits and what still comes, and lets nothing start."""
    inbox = opened(1)
    waiting, late = [delivery("k"), delivery("k"), delivery()], delivery()
    for one in waiting:
        inbox.put(one)
    call = called(inbox)
    running, _ = inbox.take(call)
    assert inbox.close() == 2
    assert not inbox.put(late)
    assert [one.settled.items for one in (*waiting, late)] == [[], ["released"], ["released"], ["released"]]
    assert running is not None
    assert inbox.keep(running, "no reason") == (0.0, False)
    assert waiting[0].settled.items == ["released"]
    assert inbox.take(call) == (None, False)
    assert inbox.state == "stopped"


class Traffic:
    """Deliveries and workers of an inbox that come and go as chance has it."""

    def __init__(self, concurrency: int, data: Any) -> None:
        self.inbox = opened(concurrency)
        self._data = data
        self.coming: list[Call] = []
        self.running: list[tuple[Item, Call]] = []
        self.back: list[Call] = []
        """Workers that have settled their delivery."""

    def _some(self, things: list[Any]) -> Any:
        return things.pop(self._data.draw(st.integers(0, len(things) - 1)))

    def _call(self, wanted: bool, *, noted: bool = True) -> None:
        if wanted:
            self.coming.append(called(self.inbox) if noted else Call())

    def put(self, *, noted: bool = True) -> None:
        """A delivery comes; the call for a worker may be interrupted before it is noted."""
        self._call(self.inbox.put(delivery(self._data.draw(st.sampled_from(["a", "b", None])))), noted=noted)

    def lost(self) -> None:
        self.put(noted=False)

    def take(self) -> None:
        if self.coming:
            self._take(self._some(self.coming))

    def again(self) -> None:
        if self.back:
            self._take(self._some(self.back))

    def _take(self, worker: Call) -> None:
        item, another = self.inbox.take(worker)
        if item is not None:
            self.running.append((item, worker))
        self._call(another)

    def done(self) -> None:
        if self.running:
            item, worker = self._some(self.running)
            self.inbox.done(item)
            self.back.append(worker)

    def turn(self) -> None:
        if self.back:
            self._some(self.back)
            self.inbox.worker_gone()
            self._call(self.inbox.wants_worker())


@given(
    st.integers(1, 8),
    st.lists(st.sampled_from(["put", "lost", "take", "done", "again", "turn"]), max_size=100),
    st.data(),
)
def test_no_wake_up_is_lost(concurrency: int, steps: list[str], data: Any) -> None:
    """However deliveries and workers come and go, and calls are not noted: when something may start, one is coming."""
    traffic = Traffic(concurrency, data)
    for step in steps:
        getattr(traffic, step)()
        assert len(traffic.running) + len(traffic.back) <= concurrency
        assert "lost" in steps or len(traffic.coming) <= 1, "one after the other"
    while traffic.coming or traffic.back or traffic.running:
        for step in ("take", "done", "again"):
            getattr(traffic, step)()
    assert traffic.inbox.in_flight == 0


def test_a_delivery_that_comes_while_the_last_worker_leaves() -> None:
    """What arrives just after a worker's last look, and counts on that worker, is taken by it."""
    inbox = opened(1)
    wanted: list[Any] = []

    class JustEmpty(deque[Any]):
        def __bool__(self) -> bool:
            there = len(self) > 0
            if not there and not wanted:
                wanted.append(None)
                wanted[0] = inbox.put(delivery())
            return there

    call = called(inbox)
    inbox._arrived = JustEmpty()
    item, another = inbox.take(call)
    assert wanted == [False]
    assert item is not None
    assert not another


class Pool:
    """Threads that come when an inbox wants them, and do what a worker does."""

    def __init__(self, concurrency: int, total: int) -> None:
        self.inbox = opened(concurrency)
        self.handled = Collected[bytes]()
        self._total = total
        self._threads = ThreadPoolExecutor(concurrency + 2)

    def put(self, name: str) -> None:
        for number in range(self._total // 2):
            key = {} if number % 3 else {"cloudEvents_partitionkey": name}
            if self.inbox.put(FakeDelivery(FakeProvider(), b"%s %d" % (name.encode(), number), key)):
                self.call()

    def call(self) -> None:
        call = Call()
        self._threads.submit(self.turn, call)
        self.inbox.called(call)

    def turn(self, call: Call) -> None:
        for _ in range(5):
            item, another = self.inbox.take(call)
            if another:
                self.call()
            if item is None:
                return
            self.handled(item.envelope.body)
            self.inbox.done(item)
        self.inbox.worker_gone()
        if self.inbox.wants_worker():
            self.call()

    def run(self) -> None:
        putting = [threading.Thread(target=self.put, args=(name,)) for name in "ab"]
        for thread in putting:
            thread.start()
        try:
            self.handled.wait(self._total)
        finally:
            for thread in putting:
                thread.join(DEADLINE)
            self._threads.shutdown()


@pytest.mark.parametrize("concurrency", [1, 3])
def test_threads_forget_nothing(concurrency: int) -> None:
    """However those who bring deliveries and those who take them come between each other, each is taken, once, and
    those of a key in order."""
    with often_switched():
        pool = Pool(concurrency, 1000)
        pool.run()
    found = pool.handled.items
    assert sorted(found) == sorted(b"%s %d" % (name, number) for name in (b"a", b"b") for number in range(500))
    for name in (b"a", b"b"):
        keyed = [body for body in found if body.startswith(name) and int(body[2:]) % 3 == 0]
        assert keyed == [b"%s %d" % (name, number) for number in range(0, 500, 3)]
    assert pool.inbox.in_flight == 0


def test_throttle() -> None:
    """From the tenth failure on, one probe at a time, five seconds apart, until a success."""
    throttle = Throttle()
    changes = [throttle.failed(100.0) for _ in range(FAILURES_IN_A_ROW)]
    assert changes == [False] * 9 + [True]
    assert throttle.active
    assert throttle.closed_for(100.0) == PROBE_EVERY
    assert throttle.closed_for(106.0) == 0
    assert not throttle.failed(106.0)
    assert throttle.closed_for(108.0) == pytest.approx(3.0)
    assert throttle.succeeded()
    assert not throttle.active
    assert throttle.closed_for(108.0) == 0
    assert not throttle.succeeded()


def test_retries_do_not_throttle() -> None:
    """Failing retries bring no throttle about; while there is one they are probes like any other."""
    throttle = Throttle()
    assert not any(throttle.failed(100.0, again=True) for _ in range(3 * FAILURES_IN_A_ROW))
    assert not throttle.active
    assert [throttle.failed(100.0) for _ in range(FAILURES_IN_A_ROW)].count(True) == 1
    assert not throttle.failed(104.0, again=True)
    assert throttle.closed_for(104.0) == PROBE_EVERY


@given(st.integers(1, 300), st.floats(0, 1000))
def test_credit(concurrency: int, seconds: float) -> None:
    """The credit is between twice the concurrency and 512, and about 100 ms of work."""
    credit = adapted_credit(concurrency, seconds)
    assert min(MAXIMUM, 2 * concurrency) <= credit <= MAXIMUM
    assert Credit(concurrency, None).current == min(MAXIMUM, 2 * concurrency)


def test_the_credit_follows_the_rate_and_the_backlog_of_keys() -> None:
    """The credit grows with the rate and with what waits behind keys, to 512; a configured one stays."""
    credit, fixed = Credit(4, None), Credit(4, 7)
    assert credit.change(parked=0) is None
    assert credit.change(parked=8) == 16
    assert credit.change(parked=9) is None, "a change of a few is not worth a frame"
    assert credit.change(parked=0) == 8
    for _ in range(MEASURED_EVERY):
        credit.measured(0.002)
        fixed.measured(0.002)
    assert credit.change(parked=0) == adapted_credit(4, 0.002 * (1 - (15 / 16) ** MEASURED_EVERY))
    assert credit.change(parked=10_000) == MAXIMUM
    assert fixed.change(parked=500) is None


@pytest.mark.parametrize("seed", range(4))
def test_chaos(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With keys, failures, throttling, unconfirmed copies and lost connections: every delivery ends, once."""
    monkeypatch.setattr(inbox_module, "PAUSE", 0.005)
    monkeypatch.setattr(throttle_module, "PROBE_EVERY", 0.005)
    chance, lock = random.Random(seed), threading.Lock()
    provider, outcomes = FakeProvider(), Collected[Outcome]()

    def likely(share: float) -> bool:
        with lock:
            return chance.random() < share

    def on(_e: Placed) -> None:
        if likely(0.6):
            raise ValueError

    provider.on_forward = lambda: refused(SendRejected("full")) if likely(0.2) else confirmed()
    policy = RetryPolicy(immediate=1, immediate_wait=(0,), delayed=(1,))
    with managed(listening(on, concurrency=3), provider=provider, retry=policy, observers=[outcomes]) as manager:
        deliveries = []
        for number in range(300):
            key = chance.choice(["a", "b", None])
            deliveries.append(provider.deliver("listener", b'{"number": %d}' % number, key=key))
            if likely(0.02):
                chance.choice(deliveries).lost = True
        assert len(outcomes.wait(300)) == 300
        assert manager.health().listeners["listener"].in_flight == 0
    assert len(outcomes.items) == 300
    assert all(one.lost or one.settled.items == ["accepted"] for one in deliveries)


def test_a_listener_that_cancels_itself() -> None:
    """A coroutine that raises CancelledError has failed like with any other error."""
    import asyncio

    outcomes = Collected[Outcome]()

    async def cancelled(_e: Any) -> None:
        raise asyncio.CancelledError

    with managed(listening(cancelled), observers=[outcomes]) as manager:
        manager.send_event(Placed())
        outcome = outcomes.wait()[0]
    assert outcome.result.value == "dead_lettered"
    assert isinstance(outcome.error, EventError)
    assert "was cancelled" in str(outcome.error)


def test_a_listener_that_returns_an_awaitable() -> None:
    """Whatever awaitable a listener returns is awaited."""
    seen = Collected[str]()

    class Later:
        def __await__(self) -> Any:
            seen("awaited")
            yield from ()

    with managed(listening(lambda e: Later())) as manager:
        manager.send_event(Placed())
        assert seen.wait() == ["awaited"]


def test_a_subscription_that_does_not_close(caplog: pytest.LogCaptureFixture) -> None:
    """A subscription that does not close is a WARNING, and stop goes on."""
    provider = FakeProvider()
    with managed(listening(lambda e: None), provider=provider) as manager:

        def fail(timeout: Any = None) -> None:
            raise ProviderError("no answer")

        monkey: Any = provider.subscriptions["listener"]
        monkey.close = fail
        manager.stop()
    assert "listener listener: its subscription did not close: no answer" in caplog.text
    assert provider.stops == 1


@pytest.mark.parametrize("failure", ["refused", "never"])
def test_a_replay_that_fails(failure: str) -> None:
    """A replay that is not confirmed is a ProviderError, and the dead letter stays."""
    from concurrent.futures import Future

    provider = FakeProvider()
    letter = FakeDelivery(provider, b"{}", {"cloudEvents_id": "x", "ev_error_queue": "Placed::listener"})
    taking: Any = provider
    taking.take = lambda queue, event_id, timeout: letter
    provider.on_forward = Future if failure == "never" else lambda: refused(SendRejected("full"))
    expected = pytest.raises(ProviderError, match="full" if failure == "refused" else "it stays where it is")
    with managed(listening(lambda e: None), provider=provider) as manager, expected:
        manager.replay("x", timeout=0.01)
    assert letter.settled.items == ["released"]
