"""The manager that starts with its first send."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from aspyx_event import EventManager, EventRegistry, LifecycleError, LocalProvider, ProviderUnavailable, event
from aspyx_event.integrations.lazy import LazyManager

forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # with threads, since Python 3.12


@event()
@dataclass
class Rung:
    number: int


class Maker:
    """Counts what it makes; its managers share a bus, and tell which numbers were received."""

    def __init__(self) -> None:
        self.made: list[EventManager] = []

    def __call__(self) -> EventManager:
        self.made.append(EventManager(LocalProvider(), registry=EventRegistry().register(Rung)))
        return self.made[-1]


class Slow(LocalProvider):
    """Its start waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.starts = 0

    def start(self, *arguments: object, **options: object) -> None:
        self.starts += 1
        self.entered.set()
        assert self.go_on.wait(30)
        super().start(*arguments, **options)  # type: ignore[arg-type]


def test_nothing_starts_before_the_first_send() -> None:
    """Making it and asking for the manager starts nothing; the first send does, and the second uses the same."""
    maker = Maker()
    lazy = LazyManager(maker)
    assert maker.made == []
    assert not lazy.get().health().live
    assert not lazy.started
    lazy.send_event(Rung(1))
    lazy.send_events([Rung(2), Rung(3)])
    assert lazy.started
    assert lazy.get().health().live
    assert len(maker.made) == 1
    lazy.stop()
    assert not lazy.get().health().live


def test_many_threads_start_it_once() -> None:
    """Threads that send at the same moment make and start one manager."""
    maker = Maker()
    lazy = LazyManager(maker)
    gate = threading.Barrier(8)

    def send(number: int) -> None:
        gate.wait(30)
        lazy.send_event(Rung(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))
    assert len(maker.made) == 1
    lazy.stop()


def test_a_send_does_not_wait_longer_than_its_timeout_for_the_start_of_another() -> None:
    """While one thread connects, the send of another ends with ProviderUnavailable after its own timeout."""
    provider = Slow()
    lazy = LazyManager(lambda: EventManager(provider))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lazy.start)
        assert provider.entered.wait(30)
        with pytest.raises(ProviderUnavailable, match="another thread"):
            lazy.send_event(Rung(1), timeout=0.05)
        provider.go_on.set()
        first.result(30)
    lazy.send_event(Rung(2))
    assert provider.starts == 1
    lazy.stop()


def test_coroutines_start_it_as_well() -> None:
    """``send_event_async`` starts the manager in a thread."""
    maker = Maker()
    lazy = LazyManager(maker)
    asyncio.run(lazy.send_event_async(Rung(1)))
    assert maker.made[0].health().live
    lazy.stop()


def test_it_starts_again_after_stop() -> None:
    """A send after stop starts the same manager anew."""
    lazy = LazyManager(Maker())
    lazy.send_event(Rung(1))
    lazy.stop()
    lazy.send_event(Rung(2))
    assert lazy.get().health().live
    lazy.stop()


def test_a_substitute_stands_in() -> None:
    """Within ``replaced_by`` everybody gets the test's manager, and afterwards the own one; one block at a time."""
    maker = Maker()
    lazy = LazyManager(maker)
    with EventManager("local://") as other, lazy.replaced_by(other):
        lazy.send_event(Rung(1))
        assert lazy.get() is other
        with pytest.raises(LifecycleError, match="stands in"), lazy.replaced_by(other):
            pass
    assert maker.made == []
    assert lazy.get() is maker.made[0]


@forks
def test_a_fork_begins_anew() -> None:
    """A child makes and starts a manager of its own, also when the parent had started one; the parent's works on."""
    maker = Maker()
    lazy = LazyManager(maker)
    lazy.send_event(Rung(1))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            lazy.send_event(Rung(2))
            lazy.stop()
            code = 0 if len(maker.made) == 2 else 2
        finally:
            os._exit(code)
    os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    lazy.send_event(Rung(3))
    assert len(maker.made) == 1
    lazy.stop()


@forks
def test_locks_of_the_parent_do_not_stop_the_child() -> None:
    """A child that is forked while a thread of the parent connects can send all the same."""
    slow = Slow()
    managers = [EventManager(slow), EventManager(LocalProvider())]
    lazy = LazyManager(lambda: managers.pop(0))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lazy.start)
        assert slow.entered.wait(30)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                lazy.send_event(Rung(1), timeout=20)
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        slow.go_on.set()
        first.result(30)
    lazy.stop()


def test_a_fork_that_python_does_not_see() -> None:
    """A child that C code forked, without Python's hooks, makes and starts a manager of its own as well."""
    maker = Maker()
    lazy = LazyManager(maker)
    lazy.send_event(Rung(1))
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        code = 1
        try:
            lazy.send_event(Rung(2), timeout=20)
            code = 0 if len(maker.made) == 2 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    lazy.stop()
