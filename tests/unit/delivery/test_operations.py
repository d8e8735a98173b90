"""health() and describe(), and what appears in reprs and errors."""

from __future__ import annotations

from typing import Any

from aspyx_event import EventManager, LocalProvider, Outcome, RetryPolicy, Wiring
from tests.unit.delivery.events import Placed, Shipped, listening
from tests.unit.support import ONCE, Collected, Gate, managed


def failing(e: Placed) -> None:
    if e.number:
        raise ValueError("no")


def test_describe() -> None:
    """describe() prints as a table of what is wired to what."""
    outcomes = Collected[Outcome]()
    provider = LocalProvider(server_name="web", prefix="shop")
    own = listening(lambda e: None, "own", Shipped, per_process=True, concurrency=1, retry=RetryPolicy())
    registry = (listening(failing), own)
    with managed(*registry, provider=provider, observers=[outcomes], workers=3) as manager:
        manager.send_event(Placed(0))
        manager.send_event(Placed(1))
        outcomes.wait(2)
        wiring = manager.describe()
        text = str(wiring)
    assert isinstance(wiring, Wiring)
    assert text.splitlines() == [
        "<LocalProvider started server=web>, 3 workers, errors to 'shop.error'",
        "",
        "event    durable  listener  queue                  concurrency  attempts  state    handled  failed  dead",
        "-------  -------  --------  ---------------------  -----------  --------  -------  -------  ------  ----",
        "Placed   yes      listener  Placed::shop.listener  2            1         running  1        1       1",
        "Shipped  yes      own       Shipped::shop.own-web  1            12        running  0        0       0",
    ]


def test_describe_before_start() -> None:
    """Before start nothing is attached; an event without a listener has its row, too."""
    with managed(Shipped, listening(failing), start=False) as manager:
        lines = str(manager.describe()).splitlines()
    assert lines[-2].split()[:3] == ["Placed", "yes", "listener"]
    assert "not attached" in lines[-2]
    assert lines[-1].split() == ["Shipped", "yes"]


def test_health_through_the_life() -> None:
    """health() works at any time: down before start and after stop, ok in between; the counters stay."""
    gate, outcomes = Gate(), Collected[Outcome]()
    with managed(listening(lambda e: gate.hold()), start=False, observers=[outcomes]) as manager:
        assert (manager.health().status, manager.health().live, manager.health().listeners) == ("down", False, {})
        manager.start()
        manager.send_event(Placed())
        gate.wait_reached()
        health = manager.health()
        assert (health.status, health.live, health.ready) == ("ok", True, True)
        assert health.listeners["listener"].in_flight == 1
        assert health.listeners["listener"].last_handled_at is None
        gate.open()
        outcomes.wait()
        manager.stop()
        health = manager.health()
        assert (health.status, health.live, health.ready) == ("down", False, False)
        listener = health.listeners["listener"]
        assert (listener.state, listener.handled, listener.in_flight) == ("stopped", 1, 0)
        assert listener.last_handled_at is not None


def test_long_runners_are_named(monkeypatch: Any, caplog: Any) -> None:
    """A listener that runs for long is a WARNING, once for each delivery."""
    from aspyx_event.delivery import dispatcher, worker

    monkeypatch.setattr(dispatcher, "WATCH_EVERY", 0.01)
    monkeypatch.setattr(worker, "HANDLER_WARNING", 0.02)
    gate, ticks = Gate(), Collected[int]()
    warn = worker.ListenerWorker.warn_of_long_runners
    monkeypatch.setattr(worker.ListenerWorker, "warn_of_long_runners", lambda self: (warn(self), ticks(1)))
    with managed(listening(lambda e: gate.hold())) as manager:
        manager.send_event(Placed(), id="x")
        gate.wait_reached()
        ticks.wait(len(ticks.items) + 10)
        gate.open()
    lines = [record.getMessage() for record in caplog.records if "works on event x" in record.getMessage()]
    assert len(lines) == 1
    assert "listener listener works on event x since" in lines[0]
    assert "aspyx-worker" in lines[0]


def test_reprs_show_state() -> None:
    """The reprs show state."""
    manager = EventManager(LocalProvider(server_name="web"), retry=ONCE)
    assert repr(manager) == "<EventManager new <LocalProvider stopped server=web>>"
    manager.registry.register(listening(failing))
    with manager:
        assert repr(manager) == "<EventManager running <LocalProvider started server=web>>"
        dispatcher = manager._dispatcher
        assert repr(dispatcher) == "<Dispatcher 1 listeners, 0 running>"
        assert dispatcher is not None
        assert repr(dispatcher.workers[0]) == "<ListenerWorker listener running in_flight=0>"
    assert repr(manager) == "<EventManager stopped <LocalProvider stopped server=web>>"
    assert repr(dispatcher) == "<Dispatcher 1 listeners, 0 running stopping>"


def test_aliases() -> None:
    """The aliases of the field's original are there."""
    from aspyx_event import Envelope, EventDescriptor, EventListenerDescriptor, Provider

    assert EventManager.Envelope is Envelope
    assert EventManager.EventDescriptor is EventDescriptor
    assert EventManager.EventListenerDescriptor is EventListenerDescriptor
    assert EventManager.Provider is Provider
