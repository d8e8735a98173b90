"""Retries, dead letters, replay."""

from __future__ import annotations

from collections import Counter

import pytest

from aspyx_event.delivery.dead_letters import ERROR_PREFIX
from aspyx_event.envelope import EV_ATTEMPT
from aspyx_event.exceptions import ConfigurationError, Reject, Retry
from aspyx_event.retry import RetryPolicy
from aspyx_event.testing.conformance.bench import Bench, Suite
from aspyx_event.testing.conformance.recorder import Handled
from aspyx_event.testing.conformance.seam import Seam

_FIELDS = ("type", "message", "stack", "time", "queue", "listener", "attempts", "reason", "host", "pid")


class FailingTests(Suite):
    """What becomes of events whose listeners fail."""

    def test_retry_comes_back_later_and_only_to_its_listener(self, bench: Bench) -> None:
        """A delayed retry comes with the next attempt number, not before its delay, to the listener that failed."""
        kind = bench.event()

        def fail_first(call: Handled) -> None:
            if call.attempt == 1:
                raise ValueError("once")

        policy = RetryPolicy(immediate=0, delayed=(0.6,), jitter=0)
        manager = bench.manager(
            bench.listener(kind, "failing", action=fail_first, retry=policy), bench.listener(kind, "other")
        )
        manager.send_event(kind(1), headers={"tenant": "t"})
        bench.recorder.wait(3)
        bench.recorder.assert_quiet()
        first, second = bench.recorder.of("failing")
        assert (first.attempt, second.attempt) == (1, 2)
        assert second.id == first.id
        assert second.envelope.headers == {"tenant": "t"}
        assert bench.recorder.numbers("other") == Counter([1])
        if manager.provider.capabilities.delay:
            assert second.at - first.at >= 0.6

    def test_the_listener_may_ask_for_a_retry(self, bench: Bench) -> None:
        """Retry(delay=...) brings the event back after that delay."""
        kind = bench.event()

        def ask(call: Handled) -> None:
            if call.attempt == 1:
                raise Retry(delay=0.3)

        policy = RetryPolicy(immediate=0, delayed=(20,))
        manager = bench.manager(bench.listener(kind, "asking", action=ask, retry=policy))
        manager.send_event(kind(1))
        first, second = bench.recorder.wait(2, timeout=10)
        assert (first.attempt, second.attempt) == (1, 2)
        if manager.provider.capabilities.delay:
            assert second.at - first.at >= 0.3

    def test_exhausted_events_are_dead_letters(self, bench: Bench) -> None:
        """After its last attempt an event lies in the error queue: all error headers, the same bytes, the same id."""
        kind = bench.event()

        def fail(_call: Handled) -> None:
            raise ValueError("no: \0 \r é")

        policy = RetryPolicy(immediate=1, immediate_wait=(0,), delayed=(0.1,))
        manager = bench.manager(bench.listener(kind, "failing", action=fail, retry=policy))
        manager.send_event(kind(1, "é"), id="dead-1", headers={"tenant": "t"})
        [letter] = bench.dead_letters(manager, 1)
        assert len(bench.recorder.wait(4)) == 4
        assert (letter.id, letter.reason, letter.attempts) == ("dead-1", "exception", 4)
        assert letter.error_type == "builtins.ValueError"
        assert letter.error_message == "no: \ufffd \ufffd é"
        assert "in fail" in letter.error_stack
        assert letter.body == '{"number":1,"text":"é"}'.encode()
        assert letter.headers["tenant"] == "t"
        assert letter.queue == manager.provider.queue_name(manager.registry.listeners[0])
        assert letter.time.endswith("Z")
        assert letter.listener == f"failing-{bench.mark}"

    def test_rejected_events_are_dead_letters_at_once(self, bench: Bench) -> None:
        """Reject sends an event to the error queue after one attempt; dead_letters() does not consume it."""
        kind = bench.event()

        def reject(_call: Handled) -> None:
            raise Reject("not for us")

        manager = bench.manager(bench.listener(kind, "rejecting", action=reject), retry=RetryPolicy())
        manager.send_event(kind(1))
        for _ in range(2):
            [letter] = bench.dead_letters(manager, 1)
            assert (letter.reason, letter.error_message, letter.attempts) == ("rejected", "not for us", 1)
        assert len(bench.recorder.calls) == 1

    def test_a_dead_letter_tells_everything(self, bench: Bench) -> None:
        """In the error queue itself every ``ev_error_*`` header is there, next to all the event came with."""
        kind = bench.event()

        def fail(_call: Handled) -> None:
            raise ValueError("wrong")

        manager = bench.manager(bench.listener(kind, "failing", action=fail))
        manager.send_event(kind(1), id="told", headers={"tenant": "a:b\n🐎"}, key="k")
        bench.dead_letters(manager, 1)
        [found] = manager.provider.browse(manager.provider.error_queue, timeout=10)
        [call] = bench.recorder.calls
        came_with = {**call.envelope.wire_headers, EV_ATTEMPT: "1"}
        added = {name: value for name, value in found.wire_headers.items() if name.startswith(ERROR_PREFIX)}
        assert set(added) == {ERROR_PREFIX + field for field in _FIELDS}
        assert all(added.values())
        assert {name: value for name, value in found.wire_headers.items() if name not in added} == came_with
        assert found.body == call.envelope.body

    @pytest.mark.parametrize(
        "body", [b"", b" hello \n", b"\xff\xfe", b'{"number":"x"}', b"[1]", b"a\0b", b"[" * 10_000]
    )
    def test_poison_is_a_dead_letter_with_its_bytes(self, bench: Bench, body: bytes) -> None:
        """A body that is no event lies in the error queue byte by byte, after no attempt; the next event is handled."""
        seam = Seam(bench, hold=False)
        seam.subscription.close(10)
        manager = bench.manager(bench.listener(_kind_of(seam), "seam"), server="reader", retry=RetryPolicy())
        seam.send(body=body)
        seam.send(body=b'{"number":2}')
        bench.recorder.wait(1)
        [letter] = bench.dead_letters(manager, 1)
        assert (letter.reason, letter.body) == ("decode", body)
        assert bench.recorder.numbers() == Counter([2])

    def test_replay_reaches_only_the_listener_that_failed(self, bench: Bench) -> None:
        """A replayed event comes to its listener alone, as attempt 1, with its id and without error headers."""
        kind = bench.event()
        broken = [True]

        def fail(_call: Handled) -> None:
            if broken[0]:
                raise ValueError("broken")

        manager = bench.manager(bench.listener(kind, "failing", action=fail), bench.listener(kind, "other"))
        manager.send_event(kind(1), id="again-1")
        manager.send_event(kind(2), id="again-2")
        bench.dead_letters(manager, 2)
        broken[0] = False
        manager.replay("again-1")
        bench.recorder.wait(5)
        bench.recorder.assert_quiet()
        last = bench.recorder.of("failing")[-1]
        assert (last.id, last.attempt, last.number) == ("again-1", 1, 1)
        assert not [name for name in last.envelope.wire_headers if name.startswith(ERROR_PREFIX)]
        assert [letter.id for letter in bench.dead_letters(manager, 1)] == ["again-2"]
        assert bench.recorder.numbers("other") == Counter([1, 2])

    def test_replaying_what_is_not_there(self, bench: Bench) -> None:
        """Replaying an unknown id is a clear error."""
        kind = bench.event()
        manager = bench.manager(bench.listener(kind, "one"))
        with pytest.raises(ConfigurationError, match="nobody"):
            manager.replay("nobody", timeout=5)


def _kind_of(seam: Seam) -> type:
    return seam.event.type
