"""Pipelines around sending and handling."""

from __future__ import annotations

import contextvars
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from aspyx_event import (
    AbstractEnvelopePipeline,
    ConfigurationError,
    EnvelopePipeline,
    LocalProvider,
    RetryPolicy,
    current_envelope,
    envelope_pipeline,
    event,
    event_listener,
)
from tests.unit.support import Collected, managed

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


@event()
@dataclass
class Placed:
    number: int = 0
    notes: list[str] = field(default_factory=list)


class Recording(EnvelopePipeline):
    """Writes down the way through it."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log

    def send(self, envelope: Any, event_descriptor: Any) -> None:
        self.log.append(f"{self.name} send {event_descriptor.name}")
        self.proceed_send(envelope, event_descriptor)
        self.log.append(f"{self.name} sent")

    def handle(self, envelope: Any, event_listener_descriptor: Any) -> None:
        self.log.append(f"{self.name} handle {event_listener_descriptor.name}")
        self.proceed_handle(envelope, event_listener_descriptor)
        self.log.append(f"{self.name} handled")


@envelope_pipeline(order=1)
class Outer(Recording):
    pass


@envelope_pipeline(order=2)
class Inner(Recording):
    pass


def listener(outcome: Any) -> Any:
    """A listener named 'listener' that calls ``outcome`` with the event."""

    @event_listener(Placed, "listener")
    def listen(event: Placed) -> Any:
        return outcome(event)

    return listen


def test_alias() -> None:
    """AbstractEnvelopePipeline is the name of the field's original."""
    assert AbstractEnvelopePipeline is EnvelopePipeline


def test_order_in_both_directions() -> None:
    """The lowest order is outermost, on sending and on handling."""
    log: list[str] = []
    done = Collected[Any]()
    with managed(Inner("inner", log), Outer("outer", log), listener(lambda e: log.append("on")), observers=[done]) as m:
        m.send_event(Placed())
        done.wait()
    sending = ["outer send Placed", "inner send Placed", "inner sent", "outer sent"]
    handling = ["outer handle listener", "inner handle listener", "on", "inner handled", "outer handled"]
    assert [line for line in log if line in sending] == sending
    assert [line for line in log if line in handling] == handling


def test_filters() -> None:
    """Not proceeding filters: on sending nothing is sent, on handling the envelope counts as handled."""

    @envelope_pipeline()
    class Filter(EnvelopePipeline):
        def send(self, envelope: Any, event_descriptor: Any) -> None:
            if envelope.event.number != 1:
                self.proceed_send(envelope, event_descriptor)

        def handle(self, envelope: Any, event_listener_descriptor: Any) -> None:
            if envelope.event.number != 2:
                self.proceed_handle(envelope, event_listener_descriptor)

    handled, outcomes = Collected[int](), Collected[Any]()
    with managed(Filter, listener(lambda e: handled(e.number)), observers=[outcomes], workers=1) as manager:
        for number in (1, 2, 3):
            manager.send_event(Placed(number))
        results = outcomes.wait(2)
        assert handled.wait() == [3]
        assert [outcome.result.value for outcome in results] == ["handled", "handled"]


def test_one_instance_for_two_managers() -> None:
    """A pipeline holds no chain state: one instance serves two managers and many threads at once."""
    barrier = threading.Barrier(2, timeout=10)
    handled = Collected[str]()

    @envelope_pipeline()
    class Shared(EnvelopePipeline):
        def handle(self, envelope: Any, event_listener_descriptor: Any) -> None:
            barrier.wait()
            self.proceed_handle(envelope, event_listener_descriptor)
            handled(event_listener_descriptor.name)

    shared = Shared()
    with (
        managed(shared, event_listener(Placed, "one")(lambda e: None)) as one,
        managed(shared, event_listener(Placed, "two")(lambda e: None), Inner("inner", [])) as two,
    ):
        one.send_event(Placed())
        two.send_event(Placed())
        assert sorted(handled.wait(2)) == ["one", "two"]


def test_proceeding_twice() -> None:
    """Proceeding twice sends twice, and handles twice, through all that comes after."""

    @envelope_pipeline(order=0)
    class Twice(EnvelopePipeline):
        def send(self, envelope: Any, event_descriptor: Any) -> None:
            self.proceed_send(envelope, event_descriptor)
            self.proceed_send(envelope, event_descriptor)

        def handle(self, envelope: Any, event_listener_descriptor: Any) -> None:
            self.proceed_handle(envelope, event_listener_descriptor)
            self.proceed_handle(envelope, event_listener_descriptor)

    log: list[str] = []
    handled = Collected[Any]()
    with managed(Twice, Inner("inner", log), listener(handled)) as manager:
        manager.send_event(Placed())
        handled.wait(4)
    assert log.count("inner send Placed") == 2
    assert log.count("inner handle listener") == 4


def test_headers_set_on_sending_arrive() -> None:
    """What a pipeline sets on the envelope arrives."""

    @envelope_pipeline()
    class Tenant(EnvelopePipeline):
        def send(self, envelope: Any, event_descriptor: Any) -> None:
            envelope.set("tenant", "acme")
            self.proceed_send(envelope, event_descriptor)

    seen = Collected[Any]()
    with managed(Tenant, listener(lambda e: seen(current_envelope()))) as manager:
        manager.send_event(Placed(), headers={"more": "1"})
        assert seen.wait()[0].headers == {"tenant": "acme", "more": "1"}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_context_variables(asynchronous: bool) -> None:
    """A context variable set in a pipeline reaches the listener, async ones too, and no other delivery."""

    @envelope_pipeline()
    class Context(EnvelopePipeline):
        def handle(self, envelope: Any, event_listener_descriptor: Any) -> None:
            before = tenant.get()
            if envelope.event.number == 1:
                tenant.set("acme")
            self.proceed_handle(envelope, event_listener_descriptor)
            seen((envelope.event.number, "before", before))

    seen = Collected[Any]()

    async def on_async(e: Placed) -> None:
        seen((e.number, "on", tenant.get()))

    def on(e: Placed) -> None:
        seen((e.number, "on", tenant.get()))

    token = tenant.set("caller")
    try:
        with managed(Context, listener(on_async if asynchronous else on), workers=1) as manager:
            for number in (1, 2):
                manager.send_event(Placed(number))
            items = seen.wait(4)
    finally:
        tenant.reset(token)
    assert sorted(items) == [(1, "before", "nobody"), (1, "on", "acme"), (2, "before", "nobody"), (2, "on", "nobody")]


def test_every_attempt_is_fresh() -> None:
    """Each attempt has a freshly decoded event and fresh headers; the attempt number counts up."""
    seen = Collected[Any]()

    @envelope_pipeline()
    class Marking(EnvelopePipeline):
        def handle(self, envelope: Any, event_listener_descriptor: Any) -> None:
            seen((envelope.attempt, envelope.get("mark"), list(envelope.event.notes)))
            envelope.set("mark", "set")
            envelope.event.notes.append("touched")
            self.proceed_handle(envelope, event_listener_descriptor)

    def fail(e: Placed) -> None:
        raise ValueError

    policy = RetryPolicy(immediate=1, immediate_wait=(0,), delayed=(0,), jitter=0)
    done = Collected[Any]()
    with managed(Marking, listener(fail), retry=policy, observers=[done]) as manager:
        manager.send_event(Placed())
        done.wait(2)
    assert seen.items == [(attempt, None, []) for attempt in (1, 2, 3, 4)]


def test_an_error_on_sending_reaches_the_sender() -> None:
    """What a pipeline raises on sending is the caller's, and nothing is sent."""

    @envelope_pipeline()
    class Failing(EnvelopePipeline):
        def send(self, envelope: Any, event_descriptor: Any) -> None:
            raise KeyError("no tenant")

    provider = LocalProvider()
    with managed(Failing, listener(lambda e: None), provider=provider) as manager:
        with pytest.raises(KeyError, match="no tenant"):
            manager.send_event(Placed())
        assert provider.bus.depth("Placed::listener") == 0


def test_a_pipeline_may_send() -> None:
    """A pipeline that sends another event while it sends one confuses neither."""

    @event()
    @dataclass
    class Audit:
        of: int

    @envelope_pipeline()
    class Auditing(EnvelopePipeline):
        manager: Any = None

        def send(self, envelope: Any, event_descriptor: Any) -> None:
            if event_descriptor.name == "Placed":
                self.manager.send_event(Audit(envelope.event.number))
            self.proceed_send(envelope, event_descriptor)

    seen = Collected[Any]()
    auditing = Auditing()
    audit = event_listener(Audit, "audit")(lambda e: seen(e.of))
    with managed(auditing, audit, listener(lambda e: seen("placed"))) as manager:
        auditing.manager = manager
        manager.send_event(Placed(7))
        assert sorted(map(str, seen.wait(2))) == ["7", "placed"]


def test_a_pipeline_may_use_a_thread() -> None:
    """A pipeline may go on with sending in another thread."""

    @envelope_pipeline()
    class Threaded(EnvelopePipeline):
        def send(self, envelope: Any, event_descriptor: Any) -> None:
            thread = threading.Thread(target=self.proceed_send, args=(envelope, event_descriptor))
            thread.start()
            thread.join()

    seen = Collected[Any]()
    with managed(Threaded, listener(seen)) as manager:
        manager.send_event(Placed(3))
        assert seen.wait() == [Placed(3)]


def test_decorator_misuse() -> None:
    """The decorator refuses other classes, missing parentheses, and an order that is no number."""
    with pytest.raises(ConfigurationError, match="derive it from EnvelopePipeline"):
        envelope_pipeline()(int)
    with pytest.raises(ConfigurationError, match=r"@envelope_pipeline\(\) with parentheses on .*Outer"):
        envelope_pipeline(Outer)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="order='first'"):
        envelope_pipeline(order="first")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["send", "handle"])
def test_async_pipelines_are_refused(name: str) -> None:
    """A pipeline whose method is a coroutine function would run nothing and lose events: it is refused."""

    async def method(self: Any, envelope: Any, descriptor: Any) -> None: ...

    with pytest.raises(ConfigurationError, match=f"{name} is async"):
        envelope_pipeline()(type("Late", (EnvelopePipeline,), {name: method}))
