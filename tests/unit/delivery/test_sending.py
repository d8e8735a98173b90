"""send_event, send_event_async and send_events, up to the provider."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from aspyx_event import (
    AttachRefused,
    CodecError,
    ConfigurationError,
    EnvelopePipeline,
    LifecycleError,
    ProviderError,
    ProviderUnavailable,
    SendEventsError,
    SendRejected,
    SendTimeout,
    envelope_pipeline,
)
from aspyx_event.delivery import sender as sender_module
from aspyx_event.providers.network.futures import resolve
from tests.unit.delivery.events import Placed, listening
from tests.unit.fake_provider import FakeProvider, confirmed, refused
from tests.unit.support import DEADLINE, Collected, managed


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


def test_what_is_sent(provider: FakeProvider) -> None:
    """An envelope carries the JSON, the CloudEvents attributes, the user's headers, key, delay and ttl."""
    with managed(provider=provider) as manager:
        manager.send_event(Placed(1), headers={"tenant": "acme"}, key="k", delay=2, ttl=60, id="x")
    envelope, descriptor = provider.sent.wait()[0]
    assert (envelope.body, envelope.content_type) == (b'{"number":1}', "application/json")
    assert (envelope.id, envelope.key, envelope.delay, envelope.ttl) == ("x", "k", 2, 60)
    assert envelope.headers == {"tenant": "acme"}
    assert descriptor.name == "Placed"


def test_ids_are_new(provider: FakeProvider) -> None:
    """Without an id every event gets a new one."""
    with managed(provider=provider) as manager:
        manager.send_event(Placed())
        manager.send_event(Placed())
    one, two = (envelope.id for envelope, _ in provider.sent.wait(2))
    assert one != two


def test_unregistered_event(provider: FakeProvider) -> None:
    """Sending a decorated event registers it; an undecorated one is refused by name."""
    with managed(provider=provider) as manager:
        manager.send_event(Placed())
        assert [event.name for event in manager.registry.events] == ["Placed"]
        with pytest.raises(ConfigurationError, match=r"builtins\.str is not an event"):
            manager.send_event("Placed")


@pytest.mark.parametrize(
    "error", [SendRejected("queue full"), ProviderUnavailable("gone"), AttachRefused("no", address="a")]
)
def test_refused(provider: FakeProvider, error: ProviderError) -> None:
    """What the provider answers is raised, with the event's id, in all three ways of sending."""
    provider.on_send = lambda: refused(error)
    with managed(provider=provider) as manager:
        with pytest.raises(type(error)) as caught:
            manager.send_event(Placed(), id="x")
        assert caught.value.event_id == "x"
        error.event_id = None
        with pytest.raises(type(error)) as caught:
            asyncio.run(manager.send_event_async(Placed(), id="y"))
        assert caught.value.event_id == "y"
        error.event_id = None
        with pytest.raises(SendEventsError) as many:
            manager.send_events([Placed()])
        assert many.value.failed[0].id == error.event_id


def test_provider_that_raises(provider: FakeProvider) -> None:
    """A provider that raises instead of answering is no different."""

    def fail() -> Any:
        raise SendRejected("too large")

    provider.on_send = fail
    with managed(provider=provider) as manager:
        with pytest.raises(SendRejected) as caught:
            manager.send_event(Placed(), id="x")
        assert caught.value.event_id == "x"
        with pytest.raises(SendEventsError) as many:
            manager.send_events([Placed()])
        assert many.value.failed[0].id


def test_timeout(provider: FakeProvider) -> None:
    """Without a confirmation in time SendTimeout says how to send it again, and the provider may forget it."""
    open_confirmations: list[Future[None]] = []
    provider.on_send = lambda: open_confirmations.append(Future()) or open_confirmations[-1]
    with managed(provider=provider) as manager:
        with pytest.raises(
            SendTimeout, match=r"Placed was not confirmed within 0.01 s: it may or may not .*id='x'"
        ) as caught:
            manager.send_event(Placed(), id="x", timeout=0.01)
        assert caught.value.event_id == "x"
        with pytest.raises(SendTimeout):
            asyncio.run(manager.send_event_async(Placed(), timeout=0.01))
    assert [future.cancelled() for future in open_confirmations] == [True, True]


def test_timeout_without_connection(provider: FakeProvider) -> None:
    """Without a connection it is ProviderUnavailable, which names the provider."""
    provider.on_send = Future
    with managed(provider=provider) as manager:
        provider.is_connected = False
        with pytest.raises(
            ProviderUnavailable,
            match=r"not confirmed within 0.01 s: there is no connection to the broker .*<FakeProvider>",
        ) as caught:
            manager.send_event(Placed(), timeout=0.01)
        assert caught.value.event_id


def test_confirmation_that_is_cancelled(provider: FakeProvider) -> None:
    """A provider that gives a confirmation up is unavailable."""
    cancelled: Future[None] = Future()
    cancelled.cancel()
    provider.on_send = lambda: cancelled
    with managed(provider=provider) as manager, pytest.raises(ProviderUnavailable, match="stopped before") as caught:
        manager.send_event(Placed(), id="x")
    assert caught.value.event_id == "x"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"key": ""}, "key=''"),
        ({"key": 3}, "key=3"),
        ({"key": "a\0"}, "key="),
        ({"key": "\ud800"}, "key="),
        ({"id": ""}, "id=''"),
        ({"id": "\udfff"}, "id="),
        ({"delay": -1}, "delay=-1"),
        ({"delay": float("nan")}, "delay=nan"),
        ({"delay": "3"}, "delay='3'"),
        ({"ttl": 0}, "ttl=0"),
        ({"ttl": float("inf")}, "ttl=inf"),
        ({"headers": [("a", "b")]}, "a mapping of texts, not list"),
        ({"headers": {"a:b": "c"}}, "header key 'a:b'"),
        ({"headers": {"a\n": "c"}}, "header key"),
        ({"headers": {"ev_attempt": "3"}}, "belong to the library"),
    ],
)
def test_impossible_options(provider: FakeProvider, options: dict[str, Any], error: str) -> None:
    """Options that cannot be meant are refused by name, and nothing is sent."""
    with managed(provider=provider) as manager:
        with pytest.raises(ConfigurationError, match=error):
            manager.send_event(Placed(), **options)
        with pytest.raises(ConfigurationError, match=error):
            asyncio.run(manager.send_event_async(Placed(), **options))
    assert provider.sent.items == []


def test_header_types(provider: FakeProvider) -> None:
    """A header that is no text is a TypeError."""
    with managed(provider=provider) as manager, pytest.raises(TypeError, match="header 'a'"):
        manager.send_event(Placed(), headers={"a": None})  # type: ignore[dict-item]


def test_send_events(provider: FakeProvider) -> None:
    """Many events are sent in order, pipelined, with common options."""
    with managed(provider=provider) as manager:
        manager.send_events((Placed(n) for n in range(1000)), headers={"a": "b"}, key="k")
    sent = provider.sent.wait(1000)
    assert [envelope.event.number for envelope, _ in sent] == list(range(1000))
    assert {(envelope.get("a"), envelope.key) for envelope, _ in sent} == {("b", "k")}
    assert len({envelope.id for envelope, _ in sent}) == 1000


def test_send_events_window(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most a window of confirmations is open."""
    monkeypatch.setattr(sender_module, "WINDOW", 4)
    waiting: list[Future[None]] = []

    def answer() -> Future[None]:
        waiting.append(Future())
        if len(waiting) == 4:
            threading.Thread(target=lambda: [future.set_result(None) for future in list(waiting)]).start()
        elif len(waiting) > 4:
            waiting[-1].set_result(None)
        return waiting[-1]

    provider.on_send = answer
    with managed(provider=provider) as manager:
        manager.send_events(Placed(n) for n in range(9))
    assert len(waiting) == 9


def test_send_events_waits_for_a_part(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full window is waited for in parts, and one late confirmation does not let more than the window be open."""
    monkeypatch.setattr(sender_module, "WINDOW", 8)
    waiting: list[Future[None]] = []
    most_open: list[int] = []

    def confirm_all() -> None:
        for future in waiting[::-1]:  # the oldest is the last one to be confirmed
            resolve(future)

    def answer() -> Future[None]:
        waiting.append(Future())
        most_open.append(sum(not future.done() for future in waiting))
        if most_open[-1] == 8:
            threading.Thread(target=confirm_all).start()
        elif len(waiting) == 40:
            confirm_all()
        return waiting[-1]

    provider.on_send = answer
    with managed(provider=provider) as manager:
        manager.send_events(Placed(n) for n in range(40))
    assert len(waiting) == 40
    assert max(most_open) == 8


def test_send_events_each_in_time(provider: FakeProvider) -> None:
    """What is not confirmed in time fails with its own id, and the provider may forget it; the others are confirmed."""
    answers = [confirmed(), Future(), confirmed(), Future()]
    left = iter(answers)
    provider.on_send = lambda: next(left)
    with managed(provider=provider) as manager, pytest.raises(SendEventsError) as caught:
        manager.send_events([Placed(n) for n in range(4)], timeout=0.01)
    assert caught.value.confirmed == 2
    sent = [envelope.id for envelope, _ in provider.sent.items]
    assert [(failure.event, failure.id, type(failure.error)) for failure in caught.value.failed] == [
        (Placed(1), sent[1], SendTimeout),
        (Placed(3), sent[3], SendTimeout),
    ]
    assert [answer.cancelled() for answer in answers] == [False, True, False, True]


def test_send_events_interrupted(provider: FakeProvider) -> None:
    """After Ctrl-C nobody waits for what is on its way, and the provider may forget all of it."""
    waiting: list[Future[None]] = []
    provider.on_send = lambda: waiting.append(Future()) or waiting[-1]

    def events() -> Any:
        yield Placed(1)
        yield Placed(2)
        raise KeyboardInterrupt

    with managed(provider=provider) as manager, pytest.raises(KeyboardInterrupt):
        manager.send_events(events())
    assert [future.cancelled() for future in waiting] == [True, True]


def test_pipeline_that_sends_twice(provider: FakeProvider) -> None:
    """A pipeline may proceed twice: both sends are waited for, and the id is the event's."""

    @envelope_pipeline()
    class Twice(EnvelopePipeline):
        def send(self, envelope: Any, event_descriptor: Any) -> None:
            self.proceed_send(envelope, event_descriptor)
            self.proceed_send(envelope, event_descriptor)

    answers = iter([confirmed(), refused(SendRejected("the second"))])
    provider.on_send = lambda: next(answers)
    with managed(Twice, provider=provider) as manager, pytest.raises(SendRejected, match="the second") as caught:
        manager.send_event(Placed(), id="x")
    assert caught.value.event_id == "x"
    assert len(provider.sent.items) == 2


def test_headers_are_taken_once(provider: FakeProvider) -> None:
    """Headers that change while events are sent are those of the beginning, which were checked."""
    headers = {"tenant": "acme"}

    def events() -> Any:
        yield Placed(1)
        headers["bad:key"] = "x"
        yield Placed(2)

    with managed(provider=provider) as manager:
        manager.send_events(events(), headers=headers)
    assert [envelope.headers for envelope, _ in provider.sent.wait(2)] == [{"tenant": "acme"}] * 2


def test_send_events_with_failures(provider: FakeProvider) -> None:
    """Failures are collected with event, id and error, and keep back no other event."""
    answers = iter([confirmed(), refused(SendRejected("full")), confirmed()])
    provider.on_send = lambda: next(answers)
    bad = Placed("wrong")  # type: ignore[arg-type]
    with managed(provider=provider) as manager, pytest.raises(SendEventsError) as caught:
        manager.send_events([Placed(1), bad, Placed(2), Placed(3)])
    error = caught.value
    assert error.confirmed == 2
    assert [(failure.event, type(failure.error)) for failure in error.failed] == [
        (bad, CodecError),
        (Placed(2), SendRejected),
    ]
    assert error.failed[1].id == provider.sent.items[1][0].id
    assert str(error).startswith(
        "2 of 4 events were not confirmed; the first is Placed (id None): event 'Placed' cannot"
    )


def test_send_events_from_a_broken_iterable(provider: FakeProvider) -> None:
    """An iterable that raises is the caller's error, and what was sent before is confirmed by then."""
    first: Future[None] = Future()
    provider.on_send = lambda: first

    def events() -> Any:
        yield Placed(1)
        threading.Thread(target=first.set_result, args=(None,)).start()
        raise KeyError("the end")

    with managed(provider=provider) as manager, pytest.raises(KeyError, match="the end"):
        manager.send_events(events())
    assert first.done()


def test_send_events_filtered(provider: FakeProvider) -> None:
    """A pipeline that filters makes no failure."""

    @envelope_pipeline()
    class Nothing(EnvelopePipeline):
        def send(self, envelope: Any, event_descriptor: Any) -> None:
            pass

    with managed(Nothing, provider=provider) as manager:
        manager.send_events([Placed()])
    assert provider.sent.items == []


def test_blocking_send_in_a_loop(caplog: pytest.LogCaptureFixture) -> None:
    """send_event inside ``async def on`` works, and warns once."""
    seen = Collected[int]()

    async def forward(e: Placed) -> None:
        if e.number < 3:
            manager.send_event(Placed(e.number + 1))
        seen(e.number)

    with caplog.at_level(logging.WARNING), managed(listening(forward)) as manager:
        manager.send_event(Placed(1))
        seen.wait(3)
    warnings = [record.getMessage() for record in caplog.records if "blocks the event loop" in record.getMessage()]
    assert warnings == ["send_event() blocks the event loop while it waits: use 'await send_event_async(...)' there"]


def test_async_send_in_a_loop(caplog: pytest.LogCaptureFixture) -> None:
    """send_event_async inside ``async def on`` works without a warning."""
    seen = Collected[int]()

    async def forward(e: Placed) -> None:
        if e.number < 3:
            await manager.send_event_async(Placed(e.number + 1))
        seen(e.number)

    with caplog.at_level(logging.WARNING), managed(listening(forward)) as manager:
        manager.send_event(Placed(1))
        assert sorted(seen.wait(3)) == [1, 2, 3]
    assert "event loop" not in caplog.text


def test_async_send_does_not_block(provider: FakeProvider) -> None:
    """While send_event_async waits, its loop goes on."""
    first: Future[None] = Future()
    provider.on_send = lambda: first

    async def both() -> str:
        sending = asyncio.ensure_future(manager.send_event_async(Placed(), timeout=DEADLINE))
        await asyncio.sleep(0)
        assert not sending.done()
        first.set_result(None)
        await sending
        return "done"

    with managed(provider=provider) as manager:
        assert asyncio.run(both()) == "done"


def test_before_start_and_after_stop(provider: FakeProvider) -> None:
    """Sending before start and after stop is a LifecycleError that names the state."""
    with managed(provider=provider, start=False) as manager:
        with pytest.raises(LifecycleError, match=r"the manager is new: .*between start\(\) and stop\(\)"):
            manager.send_event(Placed())
        manager.start()
        manager.stop()
        for send in (
            manager.send_event,
            lambda e: asyncio.run(manager.send_event_async(e)),
            lambda e: manager.send_events([e]),
        ):
            with pytest.raises(LifecycleError, match="the manager is stopped"):
                send(Placed())
