"""start(): its order, what it refuses, and what it says about connections."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from aspyx_event import (
    AttachRefused,
    AuthenticationFailed,
    Capabilities,
    ConfigurationError,
    EventManager,
    EventRegistry,
    ExceptionManager,
    LifecycleError,
    LocalProvider,
    Outcome,
    ProviderState,
    ProviderUnavailable,
    RetryPolicy,
    catch,
)
from tests.unit.delivery.events import Placed, Shipped, listening
from tests.unit.fake_provider import FakeProvider, FakeSubscription
from tests.unit.support import DEADLINE, ONCE, Collected, Gate, managed


def test_declarations() -> None:
    """start declares the error queue, the events and the durable queues, and attaches the listeners."""
    provider = FakeProvider()
    own = listening(lambda e: None, "own", Shipped, per_process=True)
    with managed(listening(lambda e: None), own, provider=provider):
        first, *events, queue = provider.declared[:4]
        assert (first, sorted(events), queue) == ("error", ["Placed", "Shipped"], "Placed::listener")
        assert set(provider.subscriptions) == {"listener", "own"}


def test_side_by_side() -> None:
    """start attaches several listeners at a time: one that takes long does not hold up the others."""
    together = threading.Barrier(4)

    class Meeting(FakeProvider):
        def subscribe(self, *args: Any, **options: Any) -> FakeSubscription:
            together.wait(DEADLINE)
            return super().subscribe(*args, **options)

    listeners = [listening(lambda e: None, f"listener{number}") for number in range(4)]
    with managed(*listeners, provider=Meeting()) as manager:
        assert list(manager.health().listeners) == [f"listener{number}" for number in range(4)]


def test_without_listening() -> None:
    """listen=False declares the durable queues and subscribes to nothing."""
    provider = FakeProvider()
    with managed(listening(lambda e: None), provider=provider, start=False) as manager:
        manager.start(listen=False)
        assert provider.declared == ["error", "Placed", "Placed::listener"]
        assert provider.subscriptions == {}
        manager.send_event(Placed())
        assert manager.health().ready
        assert manager.health().listeners == {}


def test_twice() -> None:
    """Starting a running manager does nothing."""
    provider = FakeProvider()
    with managed(provider=provider) as manager:
        manager.start()
    assert (provider.starts, provider.stops) == (1, 1)


@pytest.mark.parametrize(
    "error", [AuthenticationFailed("wrong password"), ProviderUnavailable("nobody there"), KeyboardInterrupt()]
)
def test_failure_leaves_nothing_behind(error: BaseException) -> None:
    """A start that fails is undone, and may be repeated."""
    provider = FakeProvider()
    with managed(listening(lambda e: None), provider=provider, start=False) as manager:
        provider.fail_start = error
        with pytest.raises(type(error)):
            manager.start()
        assert repr(manager) == "<EventManager stopped <FakeProvider>>"
        assert provider.stops == 1
        provider.fail_start = None
        manager.start()
        assert manager.health().live


def test_failure_after_the_first_listener() -> None:
    """When the second listener is refused, the first one's deliveries go back unhandled."""
    provider, seen, early = FakeProvider(), Collected[Any](), list[Any]()

    def attach(subscription: FakeSubscription) -> None:
        if subscription.queue == "Shipped::second":
            raise AttachRefused("not allowed", address="Shipped", queue="second")
        early.append(provider.deliver("listener"))

    provider.during_subscribe = attach
    listeners = (listening(seen), listening(seen, "second", Shipped))
    with managed(*listeners, provider=provider, start=False) as manager, pytest.raises(AttachRefused):
        manager.start()
    assert [delivery.settled.items for delivery in early] == [["released"]]
    assert seen.items == []
    assert provider.subscriptions["listener"].state == "closed"


def test_an_undo_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong in undoing does not hide what went wrong before."""
    provider = FakeProvider()
    provider.fail_declare["Placed"] = ConfigurationError("belongs to another address")
    provider.fail_stop = RuntimeError("no end")
    manager = EventManager(provider, registry=EventRegistry().register(Placed))
    with pytest.raises(ConfigurationError, match="another address"):
        manager.start()
    assert "something could not be stopped" in caplog.text


def test_deliveries_wait_for_the_start() -> None:
    """A listener does not run before start is done, so it may send from its first event on."""
    provider, seen, outcomes = FakeProvider(), Collected[Any](), Collected[Outcome]()
    states: list[str] = []

    def forward(e: Placed) -> None:
        states.append(repr(manager))
        manager.send_event(Shipped(e.number))

    def deliver_early(subscription: FakeSubscription) -> None:
        for number in range(3):
            early.append(provider.deliver(subscription.queue.partition("::")[2], b'{"number": %d}' % number))
        assert not seen.items

    early: list[Any] = []
    provider.during_subscribe = deliver_early
    listeners = (listening(forward), listening(seen, "second", Shipped))
    with managed(*listeners, provider=provider, start=False, observers=[outcomes]) as manager:
        manager.start()
        assert {outcome.result.value for outcome in outcomes.wait(6)} == {"handled"}
        assert len(provider.sent.wait(3)) == 3
    assert set(states) == {"<EventManager running <FakeProvider>>"}
    assert [delivery.settled.items for delivery in early] == [["accepted"]] * 6


def test_factory_failure_comes_before_the_connection() -> None:
    """A listener that cannot be made fails the start before anything is connected."""
    provider = FakeProvider()

    class Needy:
        def __init__(self, database: Any) -> None:
            pass

        def on(self, event: Placed) -> None:
            pass

    from aspyx_event import event_listener

    manager = EventManager(provider, registry=EventRegistry().register(event_listener(Placed)(Needy)))
    with pytest.raises(ConfigurationError, match="Needy could not be instantiated"):
        manager.start()
    assert provider.starts == 0


def test_a_factory_that_makes_something_else() -> None:
    """A factory that makes no listener is a ConfigurationError that names what it made."""
    registry = EventRegistry(factory=lambda cls: 3)

    class Listener:
        def on(self, event: Placed) -> None:
            pass

    from aspyx_event import event_listener

    registry.register(event_listener(Placed)(Listener))
    with pytest.raises(ConfigurationError, match=r"an instance of builtins\.int is no listener"):
        EventManager(LocalProvider(), registry=registry).start()


class Weak(FakeProvider):
    capabilities = Capabilities(durable=False, delay=False, per_process=False)


def weak_listeners() -> list[Any]:
    return [listening(lambda e: None), listening(lambda e: None, "own", Shipped, per_process=True)]


def test_unmet_options(caplog: pytest.LogCaptureFixture) -> None:
    """Options the provider cannot honour, and the broker's findings, are one WARNING at start."""
    provider = Weak()
    provider.notes = ["auto-delete is on"]
    with managed(*weak_listeners(), provider=provider, retry=RetryPolicy()):
        pass
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    text = record.getMessage()
    for part in (
        "durable=True of 'Placed'",
        "per_process=True of 'own'",
        "delayed retries of 'listener'",
        "auto-delete",
    ):
        assert part in text


def test_strict() -> None:
    """strict=True makes an error of it, and undoes the start."""
    provider = Weak()
    manager = EventManager(provider, registry=EventRegistry().register(*weak_listeners()), strict=True, retry=ONCE)
    with pytest.raises(ConfigurationError, match="durable=True of 'Placed'"):
        manager.start()
    assert provider.stops == 1


def test_connection_states(caplog: pytest.LogCaptureFixture) -> None:
    """A lost connection is one WARNING, a new one an INFO; health says so, and the handlers see the errors."""
    provider, seen = FakeProvider(), Collected[str]()

    class Handlers:
        @catch()
        def on(self, error: ProviderUnavailable) -> None:
            seen(str(error))

    exceptions = ExceptionManager()
    exceptions.collect_handlers(Handlers())
    with (
        caplog.at_level(logging.INFO),
        managed(listening(lambda e: None), provider=provider, exception_manager=exceptions) as manager,
    ):
        assert manager.health().status == "ok"
        for attempt in range(3):
            provider.lose_connection(ProviderUnavailable(f"attempt {attempt}"))
        health = manager.health()
        assert (health.status, health.live, health.ready) == ("down", True, False)
        assert health.listeners["listener"].state == "detached"
        assert seen.wait(3) == ["attempt 0", "attempt 1", "attempt 2"]
        provider.is_connected = True
        provider.on_state(ProviderState(connected=True))
        assert manager.health().ready
    lines = [record.getMessage() for record in caplog.records if "<FakeProvider>" in record.getMessage()]
    assert lines == [
        "<FakeProvider> is connected",
        "<FakeProvider> lost its connection: attempt 0",
        "<FakeProvider> is connected again after 0 s",
    ]


def test_handlers_of_connection_failures_block_nobody() -> None:
    """A handler of connection failures runs on no thread of the provider; it may even stop the manager."""
    provider, names, stopped, gate = FakeProvider(), Collected[str](), Collected[Any](), Gate()

    class Handlers:
        @catch()
        def on(self, error: ProviderUnavailable) -> None:
            names(threading.current_thread().name)
            gate.hold()
            stopped(manager.stop())

    exceptions = ExceptionManager()
    exceptions.collect_handlers(Handlers())
    with managed(provider=provider, exception_manager=exceptions) as manager:
        provider.lose_connection(ProviderUnavailable("gone"))  # returns although the handler blocks
        gate.wait_reached()
        gate.open()
        stopped.wait()
        assert names.items != [threading.current_thread().name]
    assert provider.stops == 1


def test_a_refused_subscription() -> None:
    """A subscription that the broker refuses later detaches its listener, until it is attached again."""
    provider = FakeProvider()
    listeners = (listening(lambda e: None), listening(lambda e: None, "other", Shipped))
    with managed(*listeners, provider=provider) as manager:
        refusal = AttachRefused("not allowed any more", address="Placed", queue="listener")
        provider.on_state(ProviderState(connected=True, error=refusal, queue="Placed::listener"))
        health = manager.health()
        assert health.listeners["listener"].state == "detached"
        assert health.listeners["other"].state == "running"
        assert (health.status, health.ready) == ("degraded", False)
        provider.on_state(ProviderState(connected=True, queue="Placed::listener"))
        assert manager.health().status == "ok"


def test_listeners_send_to_their_own_queue() -> None:
    """Of two managers on one LocalProvider, each retries a per_process event in its own queue, and may replay it."""
    provider, seen, outcomes = LocalProvider(), Collected[str](), Collected[Outcome]()
    policy = RetryPolicy(immediate=0, delayed=(0,), jitter=0)

    def failing(name: str) -> Any:
        def on(_e: Any) -> None:
            seen(name)
            raise ValueError

        return listening(on, per_process=True)

    with (
        managed(failing("one"), provider=provider, retry=policy, observers=[outcomes]) as one,
        managed(failing("two"), provider=provider, retry=policy, observers=[outcomes]) as two,
    ):
        one.send_event(Placed(), id="x")
        outcomes.wait_until(lambda items: sum(o.result.value == "dead_lettered" for o in items) == 2)
        assert sorted(seen.items) == ["one", "one", "two", "two"]
        queues = [letter.queue for letter in two.dead_letters()]
        assert len(set(queues)) == 2
        two.replay("x") if queues[0].endswith(".2") else one.replay("x")
        seen.wait(5)
        outcomes.wait_until(lambda items: sum(o.result.value == "dead_lettered" for o in items) == 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers=0"),
        ({"workers": True}, "workers=True"),
        ({"workers": "4"}, "workers='4'"),
        ({"retry": 3}, r"retry=3\): give an instance of RetryPolicy"),
        ({"retry": None}, r"retry=None\)"),
        ({"registry": []}, r"registry=\[\]\): give an instance of EventRegistry"),
        ({"exception_manager": EventRegistry()}, r"exception_manager=.*give an instance of ExceptionManager"),
        ({"max_message_size": 0}, "max_message_size=0"),
    ],
)
def test_impossible_arguments(options: dict[str, Any], message: str) -> None:
    """Arguments that cannot be meant are refused by name, not with the first failing event."""
    with pytest.raises(ConfigurationError, match=message):
        EventManager(LocalProvider(), **options)


@pytest.mark.parametrize("provider", [None, 3, LocalProvider, object()])
def test_no_provider(provider: Any) -> None:
    """Something that is neither provider nor URL is refused."""
    with pytest.raises(ConfigurationError, match="give a Provider or a URL"):
        EventManager(provider)


def test_operations_need_a_running_manager() -> None:
    """dead_letters and replay need a running manager."""
    with managed(start=False) as manager:
        for call in (lambda: list(manager.dead_letters()), lambda: manager.replay("x")):
            with pytest.raises(LifecycleError, match=r"the manager is new: call start\(\) first"):
                call()


def test_two_starts_at_once() -> None:
    """Of two starts at once the second is refused, and a stop waits for the first."""
    provider, gate = FakeProvider(), Gate()
    provider.during_subscribe = lambda subscription: gate.hold()
    with managed(listening(lambda e: None), provider=provider, start=False) as manager:
        starter = threading.Thread(target=manager.start)
        starter.start()
        gate.wait_reached()
        with pytest.raises(LifecycleError, match=r"start\(\) while the manager is starting"):
            manager.start()
        with pytest.raises(LifecycleError, match="still starting"):
            manager.stop(0.01)
        gate.open()
        starter.join(DEADLINE)
        assert manager.health().live


def test_a_listener_registered_too_late_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A listener registered after start() gets a warning and no events, and the table says so; a restart helps."""
    seen = Collected[Any]()
    with managed(listening(lambda e: None)) as manager:
        manager.registry.register(listening(seen, "late"))
        assert "listener late is registered after start()" in caplog.text
        assert "not attached" in str(manager.describe())
        manager.stop()
        manager.start()
        manager.send_event(Placed(1))
        seen.wait(1)
    caplog.clear()
    manager.registry.register(listening(seen, "later"))
    assert not caplog.text
