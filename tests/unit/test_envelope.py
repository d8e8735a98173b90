"""Envelope: headers, attempt numbers, expiry."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event import CodecError, ConfigurationError, Envelope, LifecycleError, current_envelope
from aspyx_event.envelope import check_header

good_keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]*", fullmatch=True).filter(
    lambda key: not key.startswith(("cloudEvents_", "ev_"))
)
good_values = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))


@given(good_keys, good_values)
def test_good_headers(key: str, value: str) -> None:
    """Any NUL-free unicode travels under a key of letters, digits, '_', '.', '-'."""
    envelope = Envelope()
    envelope.set(key, value)
    assert envelope.get(key) == value
    assert envelope.headers == {key: value}
    assert envelope.wire_headers == {key: value}


@given(st.text())
def test_all_other_keys(key: str) -> None:
    """Every other key is refused: colon, newline, blank, empty, unicode, a leading digit."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.\-]*", key) and not key.startswith(("cloudEvents_", "ev_")):
        check_header(key, "")
    else:
        with pytest.raises(ConfigurationError, match="header key"):
            check_header(key, "")


@pytest.mark.parametrize("key", ["cloudEvents_id", "cloudEvents_x", "ev_attempt", "ev_error_reason", "ev_"])
def test_reserved_keys(key: str) -> None:
    """The library's prefixes are refused."""
    with pytest.raises(ConfigurationError, match="belong to the library"):
        Envelope().set(key, "1")


@pytest.mark.parametrize(("key", "value"), [("k", None), ("k", 1), ("k", True), ("k", b"x"), (1, "v"), (None, "v")])
def test_types(key: Any, value: Any) -> None:
    """Keys and values are str, and None is a TypeError that names the key."""
    with pytest.raises(TypeError, match=re.escape(f"header {key!r}: key and value are str")):
        Envelope().set(key, value)


def test_values_that_cannot_travel() -> None:
    """NUL and lone surrogates in a value are refused, naming the key and not the value."""
    for value, reason in (("secret\0", "NUL"), ("secret\ud800", "surrogate")):
        with pytest.raises(ConfigurationError, match=rf"header 'k': .*{reason}") as caught:
            Envelope().set("k", value)
        assert "secret" not in str(caught.value)


def test_get_reads_everything() -> None:
    """``get`` reads the user's headers and all others, with a default; ``headers`` is the user's, and a copy."""
    envelope = Envelope(headers={"tenant": "a", "cloudEvents_source": "s", "ev_attempt": "2"})
    assert envelope.get("cloudEvents_source") == "s"
    assert envelope.get("missing") is None
    assert envelope.get("missing", "x") == "x"
    envelope.headers["tenant"] = "changed"
    assert envelope.headers == {"tenant": "a"}


@pytest.mark.parametrize(
    ("value", "attempt"),
    [
        ("3", 3),
        ("0", 1),
        ("-1", 1),
        ("", 1),
        ("x", 1),
        ("1.5", 1),
        (" 2", 1),
        ("+2", 1),
        ("²", 1),
        ("٣", 1),
        ("1_0", 1),
        ("1" * 5000, 111111111),
        ("1000000000", 100000000),
    ],
)
def test_forged_attempts(value: str, attempt: int) -> None:
    """An attempt header that is no plain number counts as 1, and a huge one stays bounded."""
    assert Envelope(headers={"ev_attempt": value}).attempt == attempt


@given(st.text())
def test_any_attempt(value: str) -> None:
    """No attempt header breaks anything."""
    assert Envelope(headers={"ev_attempt": value}).attempt >= 1


def test_id() -> None:
    """The id is the CloudEvents one, else the native one, else empty."""
    assert Envelope(headers={"cloudEvents_id": "a"}, native_id="b").id == "a"
    assert Envelope(headers={"cloudEvents_id": ""}, native_id="b").id == "b"
    assert Envelope().id == ""


def test_body() -> None:
    """The body is text; what is none raises CodecError with the reason."""
    assert Envelope("ü".encode()).get_body() == "ü"
    with pytest.raises(CodecError, match=r"not UTF-8: .* at byte 1"):
        Envelope(b"a\xff").get_body()
    with pytest.raises(CodecError, match="cannot be read: an AMQP map"):
        Envelope(unreadable="an AMQP map").get_body()


def test_expired() -> None:
    """An envelope expires at its time, and without one never."""
    assert Envelope(expires_at=time.time() - 1).expired
    assert not Envelope(expires_at=time.time() + 60).expired
    assert not Envelope().expired


def test_proceed_needs_a_chain() -> None:
    """An envelope that is not on its way through a manager says so."""
    with pytest.raises(LifecycleError, match="nothing to proceed to"):
        Envelope().proceed_send(None)
    with pytest.raises(LifecycleError, match="nothing to proceed to"):
        Envelope().proceed_handle(None)


def test_no_current_envelope() -> None:
    """Outside of a listener there is no current envelope."""
    assert current_envelope() is None


def test_repr_has_no_body() -> None:
    """The repr shows state, and neither body nor headers' values."""
    envelope = Envelope(b"secret", {"cloudEvents_id": "1", "cloudEvents_type": "Placed", "token": "secret"})
    assert repr(envelope) == "<Envelope Placed id=1 attempt=1 6 bytes>"
