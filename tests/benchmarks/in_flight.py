"""Memory of many events in flight: sent and not confirmed, or received and waiting. Each side in a process of its own.

What is measured is how much the resident memory of the process grows. A sender has its link and its threads before; a
receiver makes them meanwhile, for events come at once.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aspyx_event import EventManager, EventRegistry, event_listener
from aspyx_event.testing.proxy import TcpProxy
from tests.benchmarks import ours, raw_proton
from tests.benchmarks.measuring import Figures
from tests.benchmarks.processes import resident_mb
from tests.benchmarks.samples import PATIENCE, Place, Sample, body_of_size

BEFORE = 100
"""Events that a sending side sends first, and that are confirmed: the link is attached, everything was used once."""
_POLL = 0.05


def sending(place: Place, count: int, size: int, *, of_ours: bool) -> Figures:
    """MB for so many events that are sent while no confirmation comes: a proxy keeps them back."""
    return _in_process(_ours_sends if of_ours else _raw_sends, place, count, size)


def receiving(place: Place, count: int, *, of_ours: bool) -> Figures:
    """MB for so many events that wait in the queue now, taken into the process, where they wait to be handled."""
    return _in_process(_ours_receives if of_ours else _raw_receives, place, count)


def _in_process(side: Callable[..., float], *arguments: object) -> Figures:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return {"MB": pool.apply(side, arguments)}


def _through(place: Place, proxy: TcpProxy) -> Place:
    url = place.url.replace(f":{place.port}/", f":{proxy.port}/")
    return replace(place, port=proxy.port, url=url)


def _resident() -> float:
    gc.collect()
    return resident_mb()


def _ours_sends(place: Place, count: int, size: int) -> float:
    with TcpProxy(place.host, place.port) as proxy, ours.running(_through(place, proxy), listen=False) as manager:
        manager.send_events([Sample.of_size(size)] * BEFORE)
        proxy.stall("down")
        return asyncio.run(_unconfirmed(manager, Sample.of_size(size), count, proxy))


async def _unconfirmed(manager: EventManager, event: Sample, count: int, proxy: TcpProxy) -> float:
    before = _resident()
    sends = [asyncio.ensure_future(manager.send_event_async(event, timeout=PATIENCE)) for _ in range(count)]
    await asyncio.sleep(1)  # each has begun, and the I/O thread has written what it may
    grown = _resident() - before
    if done := sum(send.done() for send in sends):
        raise RuntimeError(f"{done} of {count} events were confirmed, or failed, behind a proxy that stalls")
    proxy.heal()
    await asyncio.gather(*sends)
    return grown


class _RawSender(raw_proton.Sender):
    """Sends so many at once, after those that are confirmed."""

    def __init__(self, place: Place, count: int, body: bytes, proxy: TcpProxy) -> None:
        super().__init__(place, BEFORE, body)
        self._count, self._proxy = count, proxy
        self._before = self.grown = 0.0

    def done(self, event: Any) -> None:
        if self._before:
            self.finish()
            return
        self._proxy.stall("down")
        self._before = _resident()
        self.total += self._count
        self.send_some(event.sender, self._count)
        event.container.schedule(1, _Then(self._measure))

    def _measure(self) -> None:
        self.grown = _resident() - self._before
        self._proxy.heal()


class _Then:
    """What a container calls later."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action

    def on_timer_task(self, _event: Any) -> None:
        self._action()


def _raw_sends(place: Place, count: int, size: int) -> float:
    with TcpProxy(place.host, place.port) as proxy:
        sender = _RawSender(_through(place, proxy), count, body_of_size(size), proxy)
        raw_proton.run(sender)
        return sender.grown


def _ours_receives(place: Place, count: int) -> float:
    go = threading.Event()

    @event_listener(Sample, name="Counting", prefetch=count)
    def wait(event: Sample) -> None:
        go.wait(PATIENCE)

    manager = EventManager(place.url, registry=EventRegistry().register(wait))
    before = _resident()
    with manager:
        try:
            _until(lambda: manager.health().listeners["Counting"].in_flight >= count)
            grown = _resident() - before
        finally:
            go.set()
        _until(lambda: manager.health().listeners["Counting"].handled >= count)
    return grown


def _raw_receives(place: Place, count: int) -> float:
    receiver = _RawReceiver(place, count)
    raw_proton.run(receiver)
    return receiver.grown


class _RawReceiver(raw_proton.Handler):
    """Keeps each delivery with the body of its message, as one has to who accepts later."""

    def __init__(self, place: Place, count: int) -> None:
        super().__init__(place, prefetch=count, auto_accept=False)
        self._count = count
        self._kept: list[tuple[Any, bytes]] = []
        self._before = self.grown = 0.0

    def opened(self, container: Any) -> None:
        self._before = _resident()
        raw_proton.attach_receiver(container, self.connection, self.place)

    def on_message(self, event: Any) -> None:
        self._kept.append((event.delivery, bytes(event.message.body)))
        if len(self._kept) == self._count:
            self.grown = _resident() - self._before
            for delivery, _body in self._kept:
                self.accept(delivery)
            event.receiver.close()


def _until(condition: Callable[[], bool]) -> None:
    pause, deadline = threading.Event(), time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the events have not come")
        pause.wait(_POLL)
