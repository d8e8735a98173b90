"""The sender's side: what cannot travel is refused with a name in the error, and never becomes a broken frame."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event import CodecError, ConfigurationError, EventManager, LocalProvider, event, event_listener
from tests.unit.support import managed

ODD = st.text(st.sampled_from([*"ab:\\\n\r\0\t\x7f\x1b é\u2028", "\ud800", "\udfff"]), max_size=6) | st.text(max_size=6)


@event(durable=True)
@dataclass
class Offer:
    text: str = ""
    price: float = 0.0
    anything: Any = None


@pytest.fixture(scope="module")
def manager() -> Iterator[EventManager]:
    with managed(provider=LocalProvider(), max_message_size=1000) as made:
        yield made


def travels(text: str) -> bool:
    """Whether a text can be a header's value over both protocols."""
    return "\0" not in text and not any(0xD800 <= ord(c) < 0xE000 for c in text)


def refused(send: Callable[[], None], name: str) -> None:
    """It raises one of our errors, which names what is wrong in one printable line."""
    with pytest.raises((CodecError, ConfigurationError)) as caught:
        send()
    said = str(caught.value)
    assert name in said
    assert "\n" not in said
    assert "\0" not in said
    said.encode()


@given(key=ODD, value=ODD)
def test_headers(manager: EventManager, key: str, value: str) -> None:
    """A header is sent when its key is a name, and not ours, and its value can travel; else the error names the key."""
    good_key = (
        key.isascii()
        and key.replace("_", "a").replace(".", "a").replace("-", "a").isalnum()
        and key[0] not in ".-0123456789"
        and not key.startswith(("cloudEvents_", "ev_"))
    )

    def send() -> None:
        manager.send_event(Offer(), headers={key: value})

    if good_key and travels(value):
        send()
    else:
        refused(send, f"header {key!r}" if good_key else f"header key {key!r}")


@given(ODD)
def test_ids_and_keys(manager: EventManager, text: str) -> None:
    """An id or a key is sent when it can travel; else the error names it."""
    for option in ("id", "key"):

        def send(option: str = option) -> None:
            manager.send_event(Offer(), **{option: text})

        if travels(text) and text:
            send()
        elif text:
            refused(send, option)


@given(ODD)
def test_texts(manager: EventManager, text: str) -> None:
    """A field's text is sent whatever it holds, but for lone surrogates: then the error names the field."""
    if any(0xD800 <= ord(c) < 0xE000 for c in text):
        refused(lambda: manager.send_event(Offer(text=text)), "field 'text'")
        refused(lambda: manager.send_event(Offer(anything={"deep": [text]})), "field 'anything'")
    else:
        manager.send_event(Offer(text=text, anything={"deep": [text]}))


@given(st.floats())
def test_numbers(manager: EventManager, number: float) -> None:
    """A number is sent when it is finite; else the error names the field."""
    if math.isfinite(number):
        manager.send_event(Offer(price=number))
    else:
        refused(lambda: manager.send_event(Offer(price=number)), "field 'price'")


@given(st.integers(900, 1100))
def test_sizes(manager: EventManager, size: int) -> None:
    """A body over max_message_size is refused, and the error names the largest field."""
    offer = Offer(text="x" * (size - len('{"text":"","price":0.0,"anything":null}')))
    if size <= 1000:
        manager.send_event(offer)
    else:
        refused(lambda: manager.send_event(offer), "'text'")


@given(ODD)
def test_names(text: str) -> None:
    """A name of an event or a listener is of letters, digits and '_.-'; any other is refused, in one printable line."""
    if re.fullmatch(r"[A-Za-z0-9_.-]+", text) or not text:
        return
    refused(lambda: event(text)(type("Named", (Offer,), {})) and None, "name")
    refused(lambda: event_listener(Offer, text)(lambda e: None) and None, "name")
