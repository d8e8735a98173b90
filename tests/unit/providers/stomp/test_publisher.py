"""What is written, when, and again."""

from __future__ import annotations

from typing import Any, Callable, Optional

import pytest

from aspyx_event.exceptions import ProviderError, ProviderUnavailable, SendRejected
from aspyx_event.providers.stomp.errors import ErrorFrame, LinkLost, connect_error, error_text
from aspyx_event.providers.stomp.publisher import Outgoing, Publisher


class Wire:
    """Records what is written, and lets the test answer."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.answers: dict[str, Callable[[Optional[ProviderError]], None]] = {}
        self.on_confirmed: Callable[[list[Any]], None]

    def publish(self, head: bytes, body: bytes, *, answer: Any) -> None:
        assert body == b"{}"
        command, header = head.decode().splitlines()
        assert command == "SEND"
        destination = header.partition("destination:")[2]
        self.written.append(destination)
        self.answers[destination] = answer

    def lose(self, publisher: Publisher) -> None:
        lost = LinkLost("cut")
        for answer in list(self.answers.values()):
            answer(lost)
        publisher.lost(lost)


def message(name: str) -> Outgoing:
    return Outgoing(name, {}, b"{}", f"id-{name}")


def opened(wire: Wire) -> Publisher:
    publisher = Publisher()
    publisher.open()
    publisher.use(wire)  # type: ignore[arg-type]
    return publisher


def test_what_waits_is_written_in_order() -> None:
    """Without a connection messages wait; cancelled ones are dropped."""
    publisher, wire = Publisher(), Wire()
    publisher.open()
    sends = {name: publisher.send(message(name)) for name in "abcd"}
    assert sends["b"].cancel()
    publisher.use(wire)  # type: ignore[arg-type]
    assert wire.written == ["a", "c", "d"]
    wire.answers["c"](None)
    assert sends["c"].result(0) is None
    assert not sends["a"].done()


def test_receipts_confirm_together() -> None:
    """All receipts that have come at once; nobody is told twice, and one who waits no more hinders nobody."""
    wire = Wire()
    publisher = opened(wire)
    sends = {name: publisher.send(message(name)) for name in "abcd"}
    assert sends["b"].cancel()
    wire.on_confirmed([wire.answers.pop(name) for name in "abd"])
    assert [sends[name].result(0) for name in "ad"] == [None, None]
    assert not sends["c"].done()
    wire.lose(publisher)
    again = Wire()
    publisher.use(again)  # type: ignore[arg-type]
    assert again.written == ["c"]


def test_the_unconfirmed_is_written_again_in_order() -> None:
    """After a loss: what was not confirmed first, then what came meanwhile; confirmed and cancelled ones never."""
    first, second = Wire(), Wire()
    publisher = opened(first)
    sends = {name: publisher.send(message(name)) for name in "abcd"}
    first.answers.pop("b")(None)
    sends["c"].cancel()
    first.lose(publisher)
    sends["e"] = publisher.send(message("e"))
    publisher.use(second)  # type: ignore[arg-type]
    assert second.written == ["a", "d", "e"]
    for name in "ade":
        second.answers[name](None)
        assert sends[name].result(0) is None


def test_an_error_frame_is_a_rejection() -> None:
    """The sender hears what the broker said, with the event's id."""
    wire = Wire()
    publisher = opened(wire)
    send = publisher.send(message("a"))
    wire.answers["a"](ErrorFrame("may not"))
    with pytest.raises(SendRejected, match="may not") as refused:
        send.result(0)
    assert refused.value.event_id == "id-a"


def test_a_message_that_ends_connections_is_found_out() -> None:
    """What was lost twice goes one by one, and a message that ends three connections alone is refused."""
    publisher, wires = Publisher(), [Wire() for _ in range(6)]
    publisher.open()
    sends = {name: publisher.send(message(name)) for name in ("ok", "bad", "too")}
    publisher.use(wires[0])  # type: ignore[arg-type]
    wires[0].lose(publisher)
    publisher.use(wires[1])  # type: ignore[arg-type]
    assert wires[1].written == ["ok", "bad", "too"]
    wires[1].lose(publisher)
    publisher.use(wires[2])  # type: ignore[arg-type]
    assert wires[2].written == ["ok"]
    wires[2].answers.pop("ok")(None)
    assert wires[2].written == ["ok", "bad"]
    for number in (2, 3, 4):
        wires[number].lose(publisher)
        publisher.use(wires[number + 1])  # type: ignore[arg-type]
    assert wires[4].written == ["bad"]
    assert isinstance(sends["bad"].exception(0), SendRejected)
    assert wires[5].written == ["too"]
    wires[5].answers["too"](None)
    assert sends["too"].result(0) is None


def test_close_fails_what_is_open() -> None:
    """After close everything open has failed, and everything new fails at once, each with its event's id."""
    wire = Wire()
    publisher = opened(wire)
    sends = [publisher.send(message("a"))]
    publisher.close(ProviderUnavailable("stopped"))
    sends.append(publisher.send(message("b")))
    assert [str(send.exception(0)) for send in sends] == ["stopped", "stopped"]
    assert [send.exception(0).event_id for send in sends] == ["id-a", "id-b"]  # type: ignore[union-attr]


def test_outages_do_not_collect_what_was_given_up() -> None:
    """Cancelled messages are purged while there is no connection."""
    publisher = Publisher()
    publisher.open()
    for _ in range(5000):
        publisher.send(message("a")).cancel()
    assert len(publisher._waiting) <= 1001


@pytest.mark.parametrize(
    ("headers", "body", "text"),
    [
        ({"message": "a"}, b"a", "a"),
        ({"message": "not_found"}, b"NOT_FOUND - no queue\nmore", "not_found: NOT_FOUND - no queue"),
        ({}, b"only body", "only body"),
        ({}, b"", "an ERROR frame without a text"),
    ],
)
def test_error_texts(headers: dict[str, str], body: bytes, text: str) -> None:
    """One line that says it all."""
    assert error_text(headers, body) == text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Security Error occurred: User name [admin] or password is invalid", "AuthenticationFailed"),
        ("Bad CONNECT: Access refused for user 'admin'", "AuthenticationFailed"),
        ("User name [admin] or password is invalid.", "AuthenticationFailed"),
        ("Bad CONNECT: Virtual host 'nope' access denied", "ConfigurationError"),
        ("Version mismatch", "ProviderUnavailable"),
    ],
)
def test_connect_errors(text: str, kind: str) -> None:
    """What each broker says to a CONNECT becomes the right error."""
    assert type(connect_error("h:1", text)).__name__ == kind
