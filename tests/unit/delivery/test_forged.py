"""Headers that nobody of us wrote: ids in logs, error headers on live events, dead letters that lead elsewhere."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event import ConfigurationError, Envelope, LocalProvider, Outcome
from aspyx_event.envelope import shown
from aspyx_event.providers.local.queues import Message
from tests.unit.delivery.events import Placed, Shipped, listening
from tests.unit.support import Collected, managed


@pytest.mark.parametrize("claimed", ["billing", "nobody", "x" * 5000, "a\nb"])
def test_a_dead_letter_that_leads_to_another_listener(claimed: str) -> None:
    """A dead letter that names one listener and the queue of another one is refused, and reaches neither."""
    provider, seen = LocalProvider(), Collected[Any]()
    things = listening(seen, "billing"), listening(seen, "shipping", Shipped)
    with managed(*things, provider=provider) as manager:
        headers = {"cloudEvents_id": "x", "ev_error_queue": "Shipped::shipping", "ev_error_listener": claimed}
        provider.bus.put("error", Message(b"{}", headers, None, True, native_id="n"))
        with pytest.raises(
            ConfigurationError, match=r"which is that of listener 'shipping': the headers are forged"
        ) as caught:
            manager.replay("x")
        assert len(str(caught.value)) < 600
        assert [letter.id for letter in manager.dead_letters()] == ["x"]
        assert not seen.items


@pytest.mark.parametrize("queue", ["", "error", "Shipped", "Shipped::nobody", "::", "Shipped::shipping\n", "x" * 5000])
def test_a_dead_letter_that_leads_nowhere(queue: str) -> None:
    """A dead letter whose queue is no listener's is refused: the error queue itself, an address, nonsense."""
    provider, seen = LocalProvider(), Collected[Any]()
    with managed(listening(seen, "shipping", Shipped), provider=provider) as manager:
        headers = {"cloudEvents_id": "x", "ev_error_queue": queue, "ev_error_listener": "shipping"}
        provider.bus.put("error", Message(b"{}", headers, None, True, native_id="n"))
        with pytest.raises(ConfigurationError, match="which no listener of this registry reads") as caught:
            manager.replay("x")
        assert len(str(caught.value)) < 600
        assert not seen.items


def test_error_headers_on_a_live_event() -> None:
    """Forged error headers of a live event are not those of its dead letter, and replay leads to its own queue."""
    provider, outcomes, seen = LocalProvider(), Collected[Outcome](), Collected[Any]()
    healed = Collected[int]()

    def on(e: Placed) -> None:
        if not healed.items:
            raise ValueError("broken")
        seen(e)

    with managed(listening(on), listening(seen, "other", Shipped), provider=provider, observers=[outcomes]) as manager:
        forged = {
            "ev_error_queue": "Shipped::other",
            "ev_error_listener": "other",
            "ev_error_extra": "x",
            "ev_attempt": "-7",
        }
        provider.bus.put(
            "Placed::listener", Message(b"{}", {**forged, "cloudEvents_id": "x"}, None, True, native_id="n")
        )
        outcomes.wait()
        [letter] = manager.dead_letters()
        assert (letter.queue, letter.listener, letter.attempts) == ("Placed::listener", "listener", 1)
        healed(1)
        manager.replay("x")
        assert seen.wait() == [Placed()]


def test_an_id_does_not_fill_or_forge_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Ids of any length and sort stand in short log lines, one line each."""
    provider, outcomes = LocalProvider(), Collected[Outcome]()
    ids = ["a\nERROR forged\r\n", "\x1b[2J", "i" * 1_000_000, "\u2028", "%s %d"]
    with (
        caplog.at_level(logging.INFO),
        managed(listening(lambda e: 1 / 0), provider=provider, observers=[outcomes]),
    ):
        for id in ids:
            provider.bus.put("Placed::listener", Message(b"{}", {"cloudEvents_id": id}, None, True, native_id="n"))
        outcomes.wait(len(ids))
    dead = [record.getMessage() for record in caplog.records if "error queue" in record.getMessage()]
    assert len(dead) == len(ids)
    assert all(line.isprintable() and len(line) < 300 for line in dead)


@given(st.text())
def test_what_is_shown_is_one_short_line(text: str) -> None:
    """What is shown of a foreign text is printable and short, and the text itself when that is both."""
    found = shown(text)
    assert found.isprintable()
    assert len(found) < 140
    assert found == text or not text.isprintable() or len(text) > 100
    assert repr(Envelope(headers={"cloudEvents_id": text, "cloudEvents_type": text})).isprintable()
