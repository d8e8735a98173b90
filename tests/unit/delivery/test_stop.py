"""stop(): what finishes, what is released, what is abandoned, and what is left."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from aspyx_event import EventManager, LifecycleError, LocalProvider, Outcome, RetryPolicy, StopResult
from aspyx_event.delivery import process
from tests.unit.delivery.events import Placed, Shipped, listening
from tests.unit.fake_provider import FakeProvider
from tests.unit.support import DEADLINE, Collected, Gate, managed


def stopping(manager: EventManager, timeout: float = DEADLINE) -> tuple[threading.Thread, Collected[StopResult]]:
    """stop() in a thread, and its result."""
    results = Collected[StopResult]()
    thread = threading.Thread(target=lambda: results(manager.stop(timeout)))
    thread.start()
    return thread, results


@pytest.mark.parametrize("asynchronous", [False, True])
def test_drains(asynchronous: bool) -> None:
    """A running listener finishes, waiting events go back unstarted, in their order, and nothing is lost."""
    provider, gate, seen = LocalProvider(), Gate(), Collected[int]()

    def on(e: Placed) -> None:
        if e.number == 0:
            gate.hold()
        seen(e.number)

    async def on_async(e: Placed) -> None:
        await asyncio.get_running_loop().run_in_executor(None, on, e)

    listener = listening(on_async if asynchronous else on)
    with managed(listener, provider=provider, workers=1) as manager:
        for number in range(5):
            manager.send_event(Placed(number))
        gate.wait_reached()
        thread, results = stopping(manager)
        while provider.bus.depth("Placed::listener") < 4:
            pass
        gate.open()
        result = results.wait()[0]
        thread.join(DEADLINE)
        assert (result.finished, result.released, result.abandoned) == (1, 1, ())  # the credit is 2
        assert seen.items == [0]
        manager.start()
        assert seen.wait(5) == [0, 1, 2, 3, 4]


def test_released_in_order() -> None:
    """What waited in the inbox goes back to the head of its queue in order."""
    provider, gate = LocalProvider(), Gate()
    with managed(listening(lambda e: gate.hold(), prefetch=10), provider=provider, workers=1) as manager:
        for number in range(8):
            manager.send_event(Placed(number))
        gate.wait_reached()
        thread, results = stopping(manager)
        while provider.bus.depth("Placed::listener") < 7:
            pass
        bodies = [message.body for message in provider.bus.browse("Placed::listener")]
        gate.open()
        assert results.wait()[0].released == 7
        thread.join(DEADLINE)
    assert bodies == [b'{"number":%d}' % number for number in range(1, 8)]


def test_stop_cuts_retries_short() -> None:
    """A pause between tries in place ends with stop: the event goes back, and no attempt is counted."""
    provider, seen = FakeProvider(), Collected[int]()

    def on(e: Placed) -> None:
        seen(1)
        raise ValueError

    policy = RetryPolicy(immediate=1, immediate_wait=(3600,))
    with managed(listening(on), provider=provider, retry=policy) as manager:
        delivery = provider.deliver("listener")
        seen.wait()
        result = manager.stop()
    assert delivery.settled.items == ["released"]
    assert delivery.forwards.items == []
    assert (result.finished, result.released) == (0, 1)


def test_a_listener_that_does_not_return(caplog: pytest.LogCaptureFixture) -> None:
    """A listener that does not return in time is abandoned: its event goes back, its later settlement does nothing."""
    provider, gate, outcomes = FakeProvider(), Gate(), Collected[Outcome]()
    with (
        caplog.at_level(logging.ERROR),
        managed(listening(lambda e: gate.hold()), provider=provider, observers=[outcomes]) as manager,
    ):
        delivery = provider.deliver("listener", headers={"cloudEvents_id": "x"})
        gate.wait_reached()
        begun = time.monotonic()
        result = manager.stop(0.05)
        assert time.monotonic() - begun < 5
        [abandoned] = result.abandoned
        assert (abandoned.listener, abandoned.event_id) == ("listener", "x")
        assert abandoned.seconds >= 0.05
        assert delivery.settled.items == ["released"]
        assert len(process.abandoned_threads.alive()) == 1
        gate.open()
        assert outcomes.wait()[0].result.value == "lost"
    assert delivery.settled.items == ["released"]
    assert "listener listener did not finish event x" in caplog.text
    assert provider.stop_timeout is not None
    assert provider.stop_timeout > 0.5  # there is time to flush what was settled
    for thread in process.abandoned_threads.alive():
        thread.join(DEADLINE)
    assert process.abandoned_threads.alive() == []


def test_a_coroutine_that_does_not_return() -> None:
    """An async listener that does not return is cancelled after the deadline, and its worker ends."""
    provider, started, cancelled = FakeProvider(), threading.Event(), threading.Event()

    async def forever(_e: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with managed(listening(forever), provider=provider) as manager:
        delivery = provider.deliver("listener")
        assert started.wait(DEADLINE)
        result = manager.stop(0.05)
        assert [abandoned.listener for abandoned in result.abandoned] == ["listener"]
        assert cancelled.wait(DEADLINE)
    assert delivery.settled.items == ["released"]
    assert delivery.forwards.items == []


def test_an_observer_that_blocks() -> None:
    """An observer that blocks does not keep stop from returning."""
    gate = Gate()
    with managed(listening(lambda e: None), observers=[lambda outcome: gate.hold()]) as manager:
        manager.send_event(Placed())
        gate.wait_reached()
        begun = time.monotonic()
        manager.stop(0.05)
        assert time.monotonic() - begun < 5
        gate.open()


def test_stop_in_a_listener() -> None:
    """stop() in a listener, sync or async, or in an observer, is refused: it would wait for itself."""
    errors = Collected[str]()

    def stop(_thing: Any) -> None:
        try:
            manager.stop()
        except LifecycleError as error:
            errors(str(error))

    async def stop_async(_e: Any) -> None:
        stop(None)

    with managed(
        listening(stop), listening(stop_async, "async", Shipped), observers=[stop], retry=RetryPolicy()
    ) as manager:
        manager.send_event(Placed())
        manager.send_event(Shipped())
        found = errors.wait(4)
    assert set(found) == {"stop() was called by a listener, whose end it would have to wait for: call it elsewhere"}


def test_a_listener_may_stop_another_manager() -> None:
    """A listener may stop a manager that is not its own, while that one's listeners run."""
    gate, errors, stopped = Gate(), Collected[BaseException](), Collected[StopResult]()
    with managed(listening(lambda e: gate.hold())) as other:

        def stop_other(_e: Any) -> None:
            gate.open()
            stopped(other.stop())

        with managed(listening(stop_other)) as manager:
            other.send_event(Placed())
            gate.wait_reached()
            manager.send_event(Placed())
            stopped.wait()
    assert errors.items == []


def test_sending_while_draining() -> None:
    """While the manager stops, its running listeners may still send, and nobody else."""
    provider, gate, results = FakeProvider(), Gate(), Collected[Any]()

    def on(_e: Any) -> None:
        gate.hold()
        manager.send_event(Shipped(1))
        results("sent")

    with managed(listening(on), provider=provider) as manager:
        provider.deliver("listener")
        gate.wait_reached()
        thread, _ = stopping(manager)
        refused = ""
        while not refused:
            try:
                manager.send_event(Shipped(2))
            except LifecycleError as error:
                refused = str(error)
        gate.open()
        thread.join(DEADLINE)
    assert results.items == ["sent"]
    assert refused == "the manager is stopping: events can be sent between start() and stop()"
    assert provider.sent.items[-1][0].event == Shipped(1)


def test_sending_while_draining_async() -> None:
    """The same for async listeners."""
    provider, started, go, results = FakeProvider(), threading.Event(), threading.Event(), Collected[Any]()

    async def on(_e: Any) -> None:
        started.set()
        await asyncio.get_running_loop().run_in_executor(None, go.wait, DEADLINE)
        await manager.send_event_async(Shipped(1))
        results("sent")

    with managed(listening(on), provider=provider) as manager:
        provider.deliver("listener")
        assert started.wait(DEADLINE)
        thread, _ = stopping(manager)
        while provider.subscriptions["listener"].state != "closed":
            pass
        go.set()
        thread.join(DEADLINE)
    assert results.items == ["sent"]


def test_sending_after_being_given_up() -> None:
    """A listener that was abandoned may not send any more."""
    provider, gate, errors = FakeProvider(), Gate(), Collected[str]()

    def on(_e: Any) -> None:
        gate.hold()
        try:
            manager.send_event(Shipped())
        except LifecycleError as error:
            errors(str(error))

    with managed(listening(on), provider=provider) as manager:
        provider.deliver("listener")
        gate.wait_reached()
        manager.stop(0.01)
        gate.open()
        errors.wait()
    assert provider.sent.items == []


def test_stop_waits_for_senders() -> None:
    """stop waits for confirmations that others wait for."""
    from concurrent.futures import Future

    provider, confirmation = FakeProvider(), Future[None]()
    provider.on_send = lambda: confirmation
    with managed(provider=provider) as manager:
        sender = threading.Thread(target=manager.send_event, args=(Placed(),))
        sender.start()
        provider.sent.wait()
        thread, results = stopping(manager)
        assert provider.stops == 0
        confirmation.set_result(None)
        results.wait()
        thread.join(DEADLINE)
        sender.join(DEADLINE)
    assert provider.stops == 1


def test_stop_twice() -> None:
    """Stopping again, or before the start, does nothing."""
    with managed(listening(lambda e: None), start=False) as manager:
        assert manager.stop() == StopResult()
        manager.start()
        manager.send_event(Placed())
        manager.stop()
        assert manager.stop() == StopResult()


def test_two_stops_at_once() -> None:
    """Of two stops at once, the second waits for the first, for its own timeout."""
    provider, gate = FakeProvider(), Gate()
    with managed(listening(lambda e: gate.hold()), provider=provider) as manager:
        provider.deliver("listener")
        gate.wait_reached()
        thread, results = stopping(manager)
        while provider.subscriptions["listener"].state != "closed":
            pass
        with pytest.raises(LifecycleError, match=r"gave up after 0.01 s: the manager is still stopping"):
            manager.stop(0.01)
        with pytest.raises(LifecycleError, match=r"start\(\) while the manager is stopping"):
            manager.start()
        second, more = stopping(manager)
        gate.open()
        results.wait()
        assert more.wait() == [StopResult()]
        thread.join(DEADLINE)
        second.join(DEADLINE)
    assert provider.stops == 1


def test_a_provider_that_fails_to_stop() -> None:
    """A provider whose stop raises leaves the manager stopped all the same, without a thread."""
    provider = FakeProvider()
    provider.fail_stop = RuntimeError("no end")
    with managed(listening(lambda e: None), provider=provider) as manager:
        provider.deliver("listener").settled.wait()
        with pytest.raises(RuntimeError, match="no end"):
            manager.stop()
        assert repr(manager) == "<EventManager stopped <FakeProvider>>"


def test_again_and_again() -> None:
    """start after stop works, any number of times, and leaves no thread behind."""
    seen = Collected[int]()
    before = threading.active_count()
    with managed(listening(lambda e: seen(e.number))) as manager:
        for number in range(10):
            manager.start()
            manager.send_event(Placed(number))
            seen.wait(number + 1)
            manager.stop()
            assert threading.active_count() == before
    assert seen.items == list(range(10))
