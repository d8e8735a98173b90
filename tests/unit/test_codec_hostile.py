"""JsonCodec and bodies that somebody made to hurt: only CodecErrors, no values in them, limits in both directions."""

from __future__ import annotations

import contextlib
import json
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Any, Literal, Optional, Union
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, ConfigDict

from aspyx_event import CodecError, Envelope, event
from aspyx_event.codec import MAX_DEPTH, JsonCodec
from aspyx_event.events import describe_event

SECRET = "pl4in-s3cret"
codec = JsonCodec(max_message_size=1_000_000)


@dataclass
class Part:
    price: Decimal = Decimal(0)
    owner: Optional[UUID] = None


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    pet: Literal["cat"] = "cat"


@event()
@dataclass
class Rich:
    number: int = 0
    ratio: float = 0.0
    amount: Decimal = Decimal(0)
    flag: bool = False
    at: Optional[datetime] = None
    day: Optional[date] = None
    clock: Optional[time] = None
    span: Optional[timedelta] = None
    key: Optional[UUID] = None
    blob: bytes = b""
    kind: Literal["a", "b"] = "a"
    address: Optional[IPv4Address] = None
    link: Optional[AnyUrl] = None
    part: Optional[Part] = None
    parts: list[Part] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    by_id: dict[UUID, int] = field(default_factory=dict)
    either: Union[int, list[int], None] = None
    strict: Optional[Strict] = None
    anything: Any = None


@event()
@dataclass
class Loose:
    anything: Any = None


DESCRIPTOR = describe_event(Rich)
FIELDS = list(Rich.__dataclass_fields__)


def decode(body: bytes) -> Any:
    return codec.decode(Envelope(body), DESCRIPTOR)


def complaint(body: bytes) -> str:
    """Everything that a log or an error header could say of the error; empty when it is an event."""
    try:
        decode(body)
    except CodecError as error:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return ""


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just(SECRET)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.just(SECRET) | st.sampled_from(FIELDS), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(FIELDS) | st.just(SECRET), VALUES, max_size=5))
def test_wrong_values_are_not_repeated(fields: dict[str, Any]) -> None:
    """Any JSON in any field is an event or a CodecError, in whose text and causes neither values nor keys stand."""
    assert SECRET not in complaint(json.dumps(fields).encode())


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize(
    "value", [SECRET, [SECRET], {SECRET: SECRET}, {SECRET: {SECRET: [SECRET]}}, f"http://{SECRET}:x/"]
)
def test_no_field_repeats_its_value(name: str, value: Any) -> None:
    """Whichever field a secret is put into, as a value or as a key: the error names the field and not the secret."""
    said = complaint(json.dumps({name: value}).encode())
    assert SECRET not in said
    assert not said or name in said


def test_the_known_names_are_told() -> None:
    """Fields and positions are named, and the keys of a dictionary are not."""
    with pytest.raises(CodecError, match=r"parts\.1\.price: .*; counts\.\*: "):
        decode(json.dumps({"parts": [{}, {"price": SECRET}], "counts": {SECRET: "many"}}).encode())


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    """Any bytes are an event or a CodecError."""
    with contextlib.suppress(CodecError):
        decode(body)


def _deep() -> Iterator[bytes]:
    for depth in (MAX_DEPTH + 1, 1000, 100_000):
        yield b'{"anything":' + b"[" * depth + b"]" * depth + b"}"
        yield b"[" * depth + b"1"
        yield b'{"anything":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize("body", list(_deep()), ids=lambda body: f"{len(body)} bytes {body[:13]!r}")
def test_too_deep_for_the_receiver(body: bytes) -> None:
    """Lists and objects that are nested more than 200 levels deep are a CodecError, however deep they go."""
    with pytest.raises(CodecError, match=r"recursion limit exceeded|has \d+ bytes"):
        decode(body)


def _nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("depth", [1, 100, MAX_DEPTH - 1])
def test_as_deep_as_allowed(depth: int) -> None:
    """200 levels, the event itself among them, are sent and read."""
    descriptor = describe_event(Loose)
    assert codec.decode(Envelope(codec.encode(Loose(_nested(depth)), descriptor)), descriptor) == Loose(_nested(depth))


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 20, 254, 300, 2000])
def test_too_deep_for_the_sender(depth: int) -> None:
    """What no receiver would read for its depth is refused at the sender, with the field's name."""
    with pytest.raises(CodecError, match=r"event 'Loose' cannot be sent: field 'anything' is nested"):
        codec.encode(Loose(_nested(depth)), describe_event(Loose))


def test_an_event_that_holds_itself() -> None:
    """A value that holds itself is refused at the sender, with the field's name."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(CodecError, match="field 'anything' is nested too deeply, or holds itself"):
        codec.encode(Loose(endless), describe_event(Loose))


@pytest.mark.parametrize("wide", [[[1]] * 500, [{"a": "[" * 300}] * 300])
def test_wide_is_not_deep(wide: Any) -> None:
    """Many lists beside each other, or brackets in texts, are no nesting."""
    codec.encode(Loose(wide), describe_event(Loose))


@pytest.mark.parametrize("size", [999, 1000, 1001])
def test_the_size_limit(size: int) -> None:
    """max_message_size counts bytes, is itself allowed, and holds for sender and receiver alike."""
    small, descriptor = JsonCodec(max_message_size=1000), describe_event(Loose)
    event = Loose("é" + "x" * (size - len('{"anything":""}') - 2))
    body = JsonCodec().encode(event, descriptor)
    assert len(body) == size
    if size <= 1000:
        assert small.encode(event, descriptor) == body
        assert small.decode(Envelope(body), descriptor) == event
    else:
        with pytest.raises(CodecError, match=r"1001 bytes, and max_message_size is 1000.*'anything'"):
            small.encode(event, descriptor)
        with pytest.raises(CodecError, match="the body has 1001 bytes; max_message_size is 1000"):
            small.decode(Envelope(body), descriptor)


def test_duplicate_keys() -> None:
    """The last of several equal keys counts."""
    assert decode(b'{"number": 1, "number": 2}').number == 2


def test_a_long_content_type() -> None:
    """A content type of any length and sort makes a short error of one line."""
    with pytest.raises(CodecError) as caught:
        codec.decode(Envelope(b"{}", content_type="a/b\n" + "x" * 100_000), DESCRIPTOR)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)
