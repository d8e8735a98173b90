"""Messages that no attempt can make better, and the error queue."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event import ConfigurationError, LocalProvider, Outcome, ProviderError, RetryPolicy
from aspyx_event.delivery.attempt import CRASH_LIMIT
from aspyx_event.delivery.dead_letters import MAX_MESSAGE_BYTES, MAX_STACK_BYTES, error_headers
from aspyx_event.events import describe_event
from aspyx_event.listeners import describe_listener
from tests.unit.delivery.events import Placed, Shipped, listening
from tests.unit.fake_provider import FakeProvider
from tests.unit.support import Collected, managed

LISTENER = describe_listener(listening(lambda e: None))


@pytest.mark.parametrize(
    ("body", "content_type", "unreadable", "message"),
    [
        (b"no json", None, None, "not a valid 'Placed': the whole: Invalid JSON"),
        (b'{"number": "x"}', "application/json", None, "number: Input should be a valid integer"),
        (b'[{"number": 1}]', None, None, "not a valid 'Placed'"),
        (b'{"number": "\xff"}', None, None, "not a valid 'Placed'"),
        (b"", None, None, "not a valid 'Placed'"),
        (b"{}" + b" " * (5 * 1024 * 1024), None, None, "max_message_size is 4194304"),
        (b"{}", "application/xml", None, "the content type 'application/xml' is not JSON"),
        (b"\x00map", None, "an AMQP map", "the body cannot be read: an AMQP map"),
    ],
    ids=["text", "field", "list", "utf8", "empty", "large", "type", "unreadable"],
)
def test_poison(body: bytes, content_type: Optional[str], unreadable: Optional[str], message: str) -> None:
    """Poison of any kind goes to the error queue at once, with its reason, and the listener goes on."""
    provider, seen, outcomes = FakeProvider(), Collected[Any](), Collected[Outcome]()
    with managed(listening(seen), provider=provider, retry=RetryPolicy(), workers=1, observers=[outcomes]):
        poison = provider.deliver("listener", body, content_type=content_type, unreadable=unreadable)
        good = provider.deliver("listener", b'{"number": 7}')
        assert seen.wait() == [Placed(7)]
        assert poison.settled.wait() == good.settled.wait() == ["accepted"]
        outcome = outcomes.wait()[0]
    assert (outcome.result.value, outcome.attempt, outcome.failures) == ("dead_lettered", 1, 1)
    [(destination, headers, delay)] = poison.forwards.items
    assert (destination, delay) == ("error", 0)
    assert headers["ev_error_reason"] == "decode"
    assert headers["ev_error_attempts"] == "1"
    assert headers["ev_error_queue"] == "Placed::listener"
    assert message in headers["ev_error_message"]


def test_another_event() -> None:
    """A message that says it is another event of ours is unknown_event; a foreign type is no matter."""
    provider, seen = FakeProvider(), Collected[Any]()
    with managed(listening(seen), Shipped, provider=provider):
        wrong = provider.deliver("listener", headers={"cloudEvents_type": "Shipped"})
        wrong.settled.wait()
        provider.deliver("listener", headers={"cloudEvents_type": "com.example.Placed"}).settled.wait()
    assert seen.items == [Placed()]
    [(_, headers, _)] = wrong.forwards.items
    assert headers["ev_error_reason"] == "unknown_event"
    assert "says it is 'Shipped', but it came to 'Placed'" in headers["ev_error_message"]


def test_crashed() -> None:
    """A message that was delivered too often without an answer is not handled any more."""
    provider, seen = FakeProvider(), Collected[Any]()
    with managed(listening(seen), provider=provider):
        provider.deliver("listener", delivery_count=CRASH_LIMIT - 1).settled.wait()
        crashed = provider.deliver("listener", delivery_count=CRASH_LIMIT)
        crashed.settled.wait()
    assert len(seen.items) == 1
    assert crashed.forwards.items[0][1]["ev_error_reason"] == "crashed"


def test_original_bytes() -> None:
    """The dead letter has the original bytes and headers, and every ev_error header."""
    provider = LocalProvider()

    def on(_e: Any) -> None:
        raise ValueError("broken\x00pipe\ud800\n")

    outcomes = Collected[Outcome]()
    with managed(listening(on), provider=provider, observers=[outcomes]) as manager:
        manager.send_event(Placed(3), headers={"tenant": "acme"}, key="k", id="x")
        outcomes.wait()
        [letter] = manager.dead_letters()
    assert (letter.id, letter.event, letter.listener, letter.queue) == ("x", "Placed", "listener", "Placed::listener")
    assert (letter.reason, letter.attempts, letter.body) == ("exception", 1, b'{"number":3}')
    assert (letter.error_type, letter.error_message) == ("builtins.ValueError", "broken\ufffdpipe\ufffd\n")
    assert "in on" in letter.error_stack
    assert letter.time.endswith("Z")
    assert letter.host
    assert letter.pid.isdigit()
    assert letter.headers["tenant"] == "acme"
    assert letter.headers["cloudEvents_partitionkey"] == "k"
    assert not [key for key in letter.headers if key.startswith("ev_")]


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_exception_without_text() -> None:
    """An exception whose ``__str__`` raises is a dead letter like any other, and the listener goes on."""
    seen, outcomes = Collected[Any](), Collected[Outcome]()

    def on(e: Placed) -> None:
        if e.number == 0:
            raise Unprintable
        seen(e)

    with managed(listening(on), workers=1, observers=[outcomes]) as manager:
        manager.send_event(Placed(0))
        manager.send_event(Placed(1))
        seen.wait()
        outcomes.wait(2)
        [letter] = manager.dead_letters()
        health = manager.health().listeners["listener"]
    assert letter.error_type.endswith("Unprintable")
    assert letter.error_message == "<its message could not be made>"
    assert (health.dead_lettered, health.handled) == (1, 1)


@given(st.text(st.characters()))
def test_error_headers_can_travel(message: str) -> None:
    """Whatever the error says, its headers hold no control character but tab and newline, and are UTF-8."""
    headers = error_headers(ValueError(message), reason="exception", queue="q", listener=LISTENER, attempts=1)
    for value in headers.values():
        value.encode()
        assert not [c for c in value if (ord(c) < 32 and c not in "\t\n") or ord(c) == 127]


@given(st.text(), st.integers(1, 5000))
def test_error_headers_are_bounded(piece: str, times: int) -> None:
    """Message and stack are cut, the stack at its head."""
    headers = error_headers(ValueError(piece * times), reason="exception", queue="q", listener=LISTENER, attempts=1)
    assert len(headers["ev_error_message"].encode()) <= MAX_MESSAGE_BYTES
    assert len(headers["ev_error_stack"].encode()) <= MAX_STACK_BYTES


def test_the_tail_of_the_stack_stays() -> None:
    """Of a long stack the end stays, where the error is."""
    headers = error_headers(ValueError("x" * 20000 + "the end"), reason="r", queue="q", listener=LISTENER, attempts=1)
    assert headers["ev_error_stack"].endswith("the end\n")


def test_a_foreign_id_is_frozen() -> None:
    """The first copy of a foreign message carries its native id as the CloudEvents id."""
    provider = FakeProvider()
    with managed(listening(lambda e: 1 / 0), provider=provider, retry=RetryPolicy(immediate=0, delayed=(1,))):
        for header in ({"cloudEvents_id": ""}, {"cloudEvents_id": "own"}):
            delivery = provider.deliver("listener", headers=header, native_id="java-1")
            delivery.settled.wait()
            assert delivery.forwards.items[0][1]["cloudEvents_id"] == (header["cloudEvents_id"] or "java-1")


def test_replay() -> None:
    """Replay sends a dead letter back to the queue it failed in, same id and body, attempts from 1, no ev_error."""
    healed, seen, outcomes = Collected[int](), Collected[Any](), Collected[Outcome]()

    def on(e: Placed) -> None:
        if not healed.items:
            raise ValueError
        seen(e)

    other = listening(lambda e: None, "other")
    with managed(listening(on), other, observers=[outcomes]) as manager:
        manager.send_event(Placed(1), id="x", headers={"tenant": "acme"})
        manager.send_event(Placed(2), id="y")
        outcomes.wait_until(lambda items: sum(o.result.value == "dead_lettered" for o in items) == 2)
        healed(1)
        manager.replay("y")
        assert seen.wait() == [Placed(2)]
        assert [letter.id for letter in manager.dead_letters()] == ["x"]
        replayed = [outcome for outcome in outcomes.wait(5) if outcome.listener == "listener"][-1]
    assert (replayed.event_id, replayed.attempt, replayed.listener) == ("y", 1, "listener")


def test_replay_of_nothing() -> None:
    """Replaying an id that is not there is refused by name."""
    with (
        managed(listening(lambda e: None)) as manager,
        pytest.raises(ConfigurationError, match="no event with the id 'x'"),
    ):
        manager.replay("x")


def test_replay_without_its_listener() -> None:
    """A dead letter whose listener is not registered stays where it is."""
    provider, outcomes = LocalProvider(), Collected[Outcome]()
    with managed(listening(lambda e: 1 / 0), provider=provider, observers=[outcomes]) as manager:
        manager.send_event(Placed(), id="x")
        outcomes.wait()
    with managed(listening(lambda e: None, "another"), provider=provider) as manager:
        with pytest.raises(
            ConfigurationError, match=r"queue 'Placed::listener', which no listener .*\['Placed::another'\]"
        ):
            manager.replay("x")
        assert [letter.id for letter in manager.dead_letters()] == ["x"]


def test_a_provider_that_cannot_browse() -> None:
    """Where a broker cannot browse, dead_letters says so."""

    class Blind(FakeProvider):
        @property
        def capabilities(self) -> Any:  # type: ignore[override]
            return type(super().capabilities)(browse=False)

    with managed(provider=Blind()) as manager, pytest.raises(ProviderError, match="without consuming it"):
        list(manager.dead_letters())


def test_foreign_message_in_the_error_queue() -> None:
    """A message of somebody else in the error queue is listed with what it has."""
    provider = LocalProvider()
    with managed(provider=provider) as manager:
        from aspyx_event.providers.local.queues import Message

        provider.bus.put("error", Message(b"x", {"ev_error_attempts": "many"}, None, True, native_id="n"))
        [letter] = manager.dead_letters()
    assert (letter.id, letter.event, letter.attempts, letter.reason, letter.body) == ("n", "", 0, "", b"x")


def test_the_descriptor_is_the_addresses() -> None:
    """The listener of these tests listens to Placed."""
    assert LISTENER.event == describe_event(Placed)
