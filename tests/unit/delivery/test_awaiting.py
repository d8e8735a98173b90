"""send_event_async: whatever becomes of the confirmation, the coroutine, and the loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

import pytest

from aspyx_event import (
    EnvelopePipeline,
    EventManager,
    ProviderUnavailable,
    SendRejected,
    SendTimeout,
    envelope_pipeline,
)
from aspyx_event.providers.network.futures import Answer, fail, resolve
from tests.unit.delivery.events import Placed
from tests.unit.fake_provider import FakeProvider
from tests.unit.support import DEADLINE, Collected, managed


class OpenProvider(FakeProvider):
    """Confirms when the test does."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[Future[None]] = []
        self.on_send = self._open

    def _open(self) -> Future[None]:
        self.open.append(Answer())
        return self.open[-1]


@pytest.fixture
def provider() -> OpenProvider:
    return OpenProvider()


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """In a loop of its own, with an end."""
    return asyncio.run(asyncio.wait_for(coroutine, DEADLINE))


async def begun(*sends: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    """Tasks that have come to the point where they wait."""
    tasks = [asyncio.ensure_future(send) for send in sends]
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    return tasks


def in_a_thread(work: Any) -> None:
    """Done when this returns, by another thread."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(DEADLINE)
    assert not thread.is_alive()


def test_many_at_once(provider: OpenProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop is called once for many confirmations that come together, and all who wait hear of theirs."""
    calls: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        tasks = await begun(*(manager.send_event_async(Placed(n)) for n in range(500)))
        call = loop.call_soon_threadsafe

        def counted(*args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return call(*args, **kwargs)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        in_a_thread(lambda: [resolve(confirmation) for confirmation in provider.open])
        await asyncio.gather(*tasks)

    with managed(provider=provider) as manager:
        run(main())
    assert len(calls) == 1


def test_each_at_its_time(provider: OpenProvider) -> None:
    """Confirmations that come in any order, from several threads, end just the sends that they are for."""

    async def main() -> None:
        tasks = await begun(*(manager.send_event_async(Placed(n), id=str(n)) for n in range(300)))
        confirmations = list(provider.open)
        refused, confirmed, left = confirmations[::3], confirmations[1::3], confirmations[2::3]
        threads = [
            threading.Thread(target=lambda: [fail(refusal, SendRejected("full")) for refusal in refused]),
            threading.Thread(target=lambda: [resolve(confirmation) for confirmation in reversed(confirmed)]),
        ]
        for thread in threads:
            thread.start()
        results = await asyncio.gather(*tasks[::3], return_exceptions=True)
        assert [(type(error), error.event_id) for error in results] == [
            (SendRejected, str(n)) for n in range(0, 300, 3)
        ]
        await asyncio.gather(*tasks[1::3])
        assert not any(task.done() for task in tasks[2::3])
        for confirmation in left:
            resolve(confirmation)
        await asyncio.gather(*tasks[2::3])
        for thread in threads:
            thread.join(DEADLINE)

    with managed(provider=provider) as manager:
        run(main())


def test_a_cancelled_task(provider: OpenProvider) -> None:
    """Who cancels the task gives the confirmation up, and nobody else's; the manager counts the sender no more."""

    async def main() -> None:
        one, two = await begun(manager.send_event_async(Placed(1)), manager.send_event_async(Placed(2)))
        one.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one
        assert [confirmation.cancelled() for confirmation in provider.open] == [True, False]
        assert manager._lifecycle._senders == 1
        resolve(provider.open[1])
        await two

    with managed(provider=provider) as manager:
        run(main())
        assert manager._lifecycle._senders == 0


def test_cancelled_and_refused_at_once(provider: OpenProvider, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal that a cancelled task does not hear of is no complaint of asyncio's."""

    async def main() -> None:
        (task,) = await begun(manager.send_event_async(Placed()))
        fail(provider.open[0], SendRejected("full"))
        await asyncio.sleep(0)  # now the future is done, and the task not yet woken
        task.cancel()
        with pytest.raises((asyncio.CancelledError, SendRejected)):
            await task

    with managed(provider=provider) as manager:
        run(main())
        gc.collect()
    assert "never retrieved" not in caplog.text


def test_each_in_its_time(provider: OpenProvider) -> None:
    """Timeouts end in their order, each names its own seconds and event, and gives its confirmation up."""

    async def main() -> None:
        ended: list[Any] = []

        async def send(seconds: float) -> None:
            with pytest.raises(SendTimeout, match=f"within {seconds:g} s") as caught:
                await manager.send_event_async(Placed(), id=f"{seconds:g}", timeout=seconds)
            ended.append(caught.value.event_id)

        await asyncio.gather(*map(send, (1, 0.5, 0.5, 0.05, 0, -1)))
        assert ended == ["0", "-1", "0.05", "0.5", "0.5", "1"] or ended == ["-1", "0", "0.05", "0.5", "0.5", "1"]

    with managed(provider=provider) as manager:
        run(main())
        assert manager._lifecycle._senders == 0
    assert all(confirmation.cancelled() for confirmation in provider.open)


def test_confirmed_before_the_loop_looks(provider: OpenProvider) -> None:
    """A loop that was blocked until the time was over takes a confirmation that came before."""

    async def main() -> None:
        (task,) = await begun(manager.send_event_async(Placed(), timeout=0.05))
        in_a_thread(lambda: resolve(provider.open[0]))
        threading.Event().wait(0.2)
        await task

    with managed(provider=provider) as manager:
        run(main())


@pytest.mark.parametrize("timeout", [float("inf"), 1e300, None])
def test_without_an_end(provider: OpenProvider, timeout: Any) -> None:
    """A timeout without an end is none."""

    async def main() -> None:
        (task,) = await begun(manager.send_event_async(Placed(), timeout=timeout))
        await asyncio.sleep(0.05)
        assert not task.done()
        resolve(provider.open[0])
        await task

    with managed(provider=provider) as manager:
        run(main())


def test_given_up_by_the_provider(provider: OpenProvider) -> None:
    """A confirmation that the provider gives up is ProviderUnavailable, not the cancellation of the task."""

    async def main() -> None:
        (task,) = await begun(manager.send_event_async(Placed(), id="x"))
        in_a_thread(provider.open[0].cancel)
        with pytest.raises(ProviderUnavailable, match="stopped before the confirmation") as caught:
            await task
        assert caught.value.event_id == "x"

    with managed(provider=provider) as manager:
        run(main())


def test_two_confirmations(provider: OpenProvider) -> None:
    """Where a pipeline sends an event twice, both are waited for, and either refusal is raised."""

    @envelope_pipeline()
    class Twice(EnvelopePipeline):
        def send(self, envelope: Any, event_descriptor: Any) -> None:
            envelope.proceed_send(event_descriptor)
            envelope.proceed_send(event_descriptor)

    async def main() -> None:
        good, bad = await begun(manager.send_event_async(Placed(1)), manager.send_event_async(Placed(2)))
        first, second, third, fourth = provider.open
        for confirmation in (second, third):
            resolve(confirmation)
        await asyncio.sleep(0.01)
        assert [good.done(), bad.done()] == [False, False]
        fail(fourth, SendRejected("full"))
        with pytest.raises(SendRejected):
            await bad
        resolve(first)
        await good

    with managed(Twice, provider=provider) as manager:
        run(main())


@pytest.mark.parametrize("filtered", [False, True])
def test_confirmed_at_once(filtered: bool) -> None:
    """A coroutine that only sends what is confirmed at once, or filtered, lets others run all the same."""

    @envelope_pipeline()
    class Filter(EnvelopePipeline):
        def send(self, envelope: Any, event_descriptor: Any) -> None:
            if not filtered:
                envelope.proceed_send(event_descriptor)

    async def other() -> None:
        turns.append("other")

    async def main() -> None:
        task = asyncio.ensure_future(other())
        await manager.send_event_async(Placed())
        turns.append("sent")
        await task

    turns: list[str] = []
    with managed(Filter, provider=FakeProvider()) as manager:
        run(main())
    assert turns == ["other", "sent"]


@pytest.mark.parametrize("answered", ["before", "after", "never"])
def test_a_closed_loop(provider: OpenProvider, caplog: pytest.LogCaptureFixture, answered: str) -> None:
    """A loop that is closed while a coroutine waits keeps neither it nor the manager, and no answer fails there."""
    loop = asyncio.new_event_loop()
    with managed(provider=provider) as manager:
        task = loop.create_task(manager.send_event_async(Placed()))
        loop.run_until_complete(asyncio.sleep(0))
        assert manager._lifecycle._senders == 1
        if answered == "before":
            in_a_thread(lambda: resolve(provider.open[0]))
        loop.close()
        if answered == "after":
            in_a_thread(lambda: resolve(provider.open[0]))
        gone = weakref.ref(task)
        del task
        provider.open.clear()
        provider.sent = Collected()
        gc.collect()
        assert gone() is None
        assert manager._lifecycle._senders == 0
    ours = [record for record in caplog.records if record.name != "asyncio"]  # it says that the task was pending
    assert [record for record in ours if record.levelno >= logging.WARNING] == []


def test_loops_in_threads(provider: OpenProvider) -> None:
    """Several loops at once, and one after another in a thread, each hear of their own."""

    async def main() -> None:
        for number in range(20):
            await manager.send_event_async(Placed(number))

    def loops() -> None:
        run(main())
        run(main())
        ended.append(True)

    def confirm() -> None:
        done = 0
        while done < 4 * 40 and not given_up.is_set():
            if len(provider.open) > done:
                resolve(provider.open[done])
                done += 1
            else:
                given_up.wait(0.001)

    ended: list[bool] = []
    given_up = threading.Event()
    with managed(provider=provider) as manager:
        confirming = threading.Thread(target=confirm)
        threads = [threading.Thread(target=loops) for _ in range(4)]
        for thread in (confirming, *threads):
            thread.start()
        for thread in threads:
            thread.join(60)
        given_up.set()
        confirming.join(DEADLINE)
    assert ended == [True] * 4


def test_without_a_loop(provider: OpenProvider) -> None:
    """Where no loop runs, as in another framework's coroutines, nothing is sent."""

    def drive(manager: EventManager) -> None:
        coroutine = manager.send_event_async(Placed())
        try:
            with pytest.raises(RuntimeError, match="no running event loop"):
                coroutine.send(None)
        finally:
            coroutine.close()

    with managed(provider=provider) as manager:
        drive(manager)
    assert provider.sent.items == []
