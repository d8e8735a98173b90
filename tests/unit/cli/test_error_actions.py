"""errors list, show, replay and discard, as functions of a manager and a screen."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from aspyx_event import ConfigurationError, EventManager, ProviderUnavailable
from aspyx_event.cli.actions.errors import discard_errors, list_errors, replay_errors, show_errors
from aspyx_event.cli.actions.selection import Selection, since
from tests.unit.cli.support import ReadScreen, billing, booking, broken, failures, shipping
from tests.unit.support import DEADLINE

ALL = Selection()
NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def left(manager: EventManager) -> list[tuple[str, str]]:
    return sorted((letter.id, letter.listener) for letter in manager.dead_letters())


def test_a_list() -> None:
    """A line for each dead letter, with its whole id, and their number."""
    with failures() as (_, manager):
        screen = ReadScreen()
        assert list_errors(manager, screen, ALL) == 0
    lines = screen.out.getvalue().splitlines()
    assert lines[0].split() == ["id", "time", "event", "listener", "attempts", "reason", "error"]
    assert len(lines) == 2 + 5 + 1
    assert lines[-1] == "5 events in the error queue"
    [line] = [line for line in lines if line.startswith("payment-1")]
    assert line.split()[3:] == ["Paid", "booking", "1", "exception", "KeyError:", "'account'"]
    assert "ConnectionError: the bank does not answer\n" in screen.out.getvalue()


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        (Selection(listener="billing"), 2),
        (Selection(type="Ordered"), 4),
        (Selection(type="Ordered", listener="shipping"), 2),
        (Selection(ids=("order-1", "payment-1")), 3),
        (Selection(limit=2), 2),
        (Selection(since=datetime.now(timezone.utc) - timedelta(minutes=5)), 5),
        (Selection(since=datetime.now(timezone.utc) + timedelta(hours=5)), 0),
        (Selection(listener="nobody"), 0),
    ],
)
def test_a_list_of_some(selection: Selection, count: int) -> None:
    """Conditions choose, and all have to be met; JSON has what a script needs, and no stacks."""
    with failures() as (_, manager):
        screen = ReadScreen()
        assert list_errors(manager, screen, selection, as_json=True) == 0
    found = screen.json_value
    assert len(found) == count
    assert all(set(one) >= {"id", "event", "listener", "attempts", "error_type", "time"} for one in found)
    assert not any("error_stack" in one for one in found)


def test_showing() -> None:
    """Everything there is about an event: fields, headers, stack, body; 1 for an id that is not there."""
    with failures() as (_, manager):
        screen = ReadScreen()
        assert show_errors(manager, screen, Selection(ids=("order-1", "nothing"), listener="billing")) == 1
        text = screen.out.getvalue()
        for piece in ("id        order-1", "header    tenant: t", "stack\n", '  {"id":1,"note":""}', "Traceback"):
            assert piece in text
        assert "          at all" in text
        assert screen.err.getvalue() == "Error: no event with the id nothing that is meant is in the error queue\n"
        screen = ReadScreen()
        assert show_errors(manager, screen, Selection(ids=("payment-1",)), as_json=True) == 0
    [found] = screen.json_value
    assert (found["body"], found["listener"]) == ('{"id":1}', "booking")
    assert "Traceback" in found["error_stack"]


def test_replaying() -> None:
    """Each goes back to the listener it failed in, also when two have one id; the others stay."""
    with failures() as (harness, manager):
        broken[0] = False
        screen = ReadScreen()
        assert replay_errors(manager, screen, Selection(listener="shipping")) == 0
        harness.wait_idle(DEADLINE)
        assert screen.out.getvalue() == "2 events replayed\n"
        assert len(harness.handled(shipping)) == 2
        assert harness.handled(billing) == []
        assert left(manager) == [("order-1", "billing"), ("order-2", "billing"), ("payment-1", "booking")]
        screen = ReadScreen()
        assert replay_errors(manager, screen, ALL, as_json=True) == 0
        harness.wait_idle(DEADLINE)
        assert {one["id"] for one in screen.json_value["replayed"]} == {"order-1", "order-2", "payment-1"}
        assert (screen.json_value["failed"], screen.json_value["missing"]) == ([], [])
        assert len(harness.handled(billing)) == 2
        assert len(harness.handled(booking)) == 1
        assert left(manager) == []


def test_a_replay_that_may_not_be() -> None:
    """What no listener here reads is an error of its own, stays where it is, and does not keep back the others."""
    with failures() as (harness, manager):
        operator = EventManager(harness.provider)
        operator.registry.register(booking)
        operator.start(listen=False)
        screen = ReadScreen()
        assert replay_errors(operator, screen, ALL, as_json=True) == 1
        operator.stop()
        found = screen.json_value
        assert [one["id"] for one in found["replayed"]] == ["payment-1"]
        assert len(found["failed"]) == 4
        assert "register its listener first" in found["failed"][0]["error"]
        assert len(left(manager)) >= 4


def test_a_replay_whose_broker_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was replayed until then is shown, and the provider's error raised."""
    with failures() as (_, manager):
        replay, calls = manager.replay, list[str]()

        def unavailable(id: str, **options: Any) -> None:
            calls.append(id)
            if len(calls) > 2:
                raise ProviderUnavailable("gone")
            replay(id, **options)

        monkeypatch.setattr(manager, "replay", unavailable)
        screen = ReadScreen()
        with pytest.raises(ProviderUnavailable, match="gone"):
            replay_errors(manager, screen, ALL)
        assert screen.out.getvalue() == "2 events replayed\n"
        assert len(calls) == 3


def test_discarding() -> None:
    """Only after a yes; then those that are meant are gone, and no others."""
    questions: list[str] = []

    def answer(value: bool) -> Any:
        return lambda question: questions.append(question) or value

    with failures() as (_, manager):
        screen = ReadScreen()
        assert discard_errors(manager, screen, Selection(type="Ordered"), confirm=answer(False)) == 1
        assert len(left(manager)) == 5
        assert screen.err.getvalue() == "nothing was removed\n"
        assert discard_errors(manager, ReadScreen(), Selection(listener="billing"), confirm=answer(True)) == 0
        assert left(manager) == [("order-1", "shipping"), ("order-2", "shipping"), ("payment-1", "booking")]
        screen = ReadScreen()
        selection = Selection(ids=("payment-1", "nothing"))
        assert discard_errors(manager, screen, selection, confirm=answer(True), as_json=True) == 1
        assert screen.json_value == {
            "discarded": [{"id": "payment-1", "event": "Paid", "listener": "booking"}],
            "failed": [],
            "missing": ["nothing"],
        }
        asked = len(questions)
        assert discard_errors(manager, ReadScreen(), Selection(type="Paid"), confirm=answer(True)) == 0
        assert len(questions) == asked, "nothing to remove is no question"
    assert questions[0] == "Remove 4 events from the error queue for good?"


def test_nothing_in_a_header_steers_the_terminal() -> None:
    """Escape sequences in ids, messages and headers are shown as what they are not: printable."""
    with failures() as (harness, manager):
        harness.manager.registry.replace(booking)
        provider = harness.provider
        taken = provider.take(provider.error_queue, "payment-1", timeout=1)
        assert taken is not None
        taken.forward(
            provider.error_queue,
            {
                "cloudEvents_id": "x\x1b[2J",
                "ev_error_listener": "b\x07",
                "ev_error_message": "\x1b]0;t\x07",
                "h": "\x9b2J",
            },
        ).result(1)
        taken.accept()
        screen = ReadScreen()
        list_errors(manager, screen, ALL)
        show_errors(manager, screen, ALL)
        text = screen.out.getvalue()
        assert "x\ufffd[2J" in text
        assert not any(c in text for c in "\x1b\x07\x9b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("30m", NOW - timedelta(minutes=30)),
        ("12h", NOW - timedelta(hours=12)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-02-03", datetime(2026, 2, 3, tzinfo=timezone.utc)),
        ("2026-02-03T04:05", datetime(2026, 2, 3, 4, 5, tzinfo=timezone.utc)),
        ("2026-02-03T04:05:06Z", datetime(2026, 2, 3, 4, 5, 6, tzinfo=timezone.utc)),
        ("2026-02-03T04:05+02:00", datetime(2026, 2, 3, 2, 5, tzinfo=timezone.utc)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    """Ages and dates; without a zone they are UTC."""
    assert since(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "3", "-3h", "99999999999999w", "2026-13-01", "h"])
def test_what_is_no_time(text: str) -> None:
    """Anything else is an error that shows how."""
    with pytest.raises(ConfigurationError, match="write 30m, 12h or 7d"):
        since(text)
