"""JsonCodec: what is refused, at the sender and at the receiver."""

from __future__ import annotations

import contextlib
import enum
import threading
import traceback
import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_serializer

from aspyx_event import CodecError, ConfigurationError, Envelope, event
from aspyx_event.codec import JsonCodec
from aspyx_event.events import describe_event

codec = JsonCodec(max_message_size=1000)


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Inner:
    price: float = 0.0
    note: str = ""


@event()
@dataclass
class Order:
    text: str = ""
    number: int = 0
    ratio: float = 0.0
    amount: Decimal = Decimal(0)
    at: Optional[datetime] = None
    key: Optional[uuid.UUID] = None
    blob: bytes = b""
    colour: Colour = Colour.RED
    kind: Literal["a", "b"] = "a"
    inner: Optional[Inner] = None
    many: tuple[Inner, ...] = ()
    anything: Any = None
    either: Union[int, str, None] = None


def encode(value: Any) -> bytes:
    return codec.encode(value, describe_event(type(value)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 1),
        ("text", b"x"),
        ("text", None),
        ("number", "1"),
        ("number", 1.5),
        ("number", None),
        ("ratio", "1"),
        ("amount", "1"),
        ("at", "2020-01-01T00:00:00"),
        ("key", "no uuid"),
        ("blob", "text"),
        ("colour", "red"),
        ("kind", "z"),
        ("inner", {"price": 1.0}),
        ("inner", Inner(price="cheap")),  # type: ignore[arg-type]
        ("inner", Inner(note=None)),  # type: ignore[arg-type]
        ("many", [1]),
        ("many", None),
        ("either", b"x"),
        ("anything", object()),
    ],
)
def test_wrong_type_at_the_sender(field: str, value: Any) -> None:
    """A value of another type than its field's is a CodecError that names the field, at the sender."""
    with pytest.raises(CodecError, match=rf"event 'Order' cannot be sent: field '{field}"):
        encode(Order(**{field: value}))


def test_wrong_type_below() -> None:
    """In a nested value, the inner field is named as well, where pydantic tells it."""
    with pytest.raises(CodecError, match=r"field 'inner'(, there 'price',)? holds a value that does not fit its type"):
        encode(Order(inner=Inner(price="cheap")))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("Infinity")])
def test_not_finite(value: Any) -> None:
    """NaN and infinity are refused at the sender, with the path to them."""
    with pytest.raises(CodecError, match="field 'anything' is NaN or infinite"):
        encode(Order(anything=value))
    with pytest.raises(CodecError, match=r"field 'anything\.deep\.1' is NaN or infinite"):
        encode(Order(anything={"deep": [1, value]}))
    if isinstance(value, float):
        with pytest.raises(CodecError, match="field 'ratio' is NaN or infinite"):
            encode(Order(ratio=value))
        with pytest.raises(CodecError, match=r"field 'many\.0\.price' is NaN or infinite"):
            encode(Order(many=(Inner(price=value),)))
    else:
        with pytest.raises(CodecError, match="field 'amount' is NaN or infinite"):
            encode(Order(amount=value))


def test_the_words_are_no_numbers() -> None:
    """A text that reads NaN, Infinity or null is a text."""
    for word in ("NaN", "Infinity", "null"):
        assert word.encode() in encode(Order(text=word))


@given(st.characters(whitelist_categories=["Cs"]))
def test_surrogates(surrogate: str) -> None:
    """A lone surrogate is refused at the sender, naming the field."""
    for field in ("text", "anything"):
        with pytest.raises(CodecError, match=f"field '{field}' holds a lone surrogate"):
            encode(Order(**{field: f"a{surrogate}"}))


def test_too_large() -> None:
    """A body over max_message_size is refused, naming size, limit and the largest field."""
    with pytest.raises(CodecError, match=r"has \d{4} bytes, and max_message_size is 1000; .*largest field is 'text'"):
        encode(Order(text="x" * 1000))


def test_cycles_and_depth() -> None:
    """A value that contains itself, or is nested beyond reason, is a CodecError."""
    cycle: list[Any] = []
    cycle.append(cycle)
    deep: list[Any] = []
    for _ in range(3000):
        deep = [deep]
    for value in (cycle, deep):
        with pytest.raises(CodecError, match="field 'anything'"):
            encode(Order(anything=value))


def test_serializer_that_raises() -> None:
    """A model's own serializer that raises is a CodecError that names the field."""

    @event()
    class Own(BaseModel):
        number: int

        @field_serializer("number")
        def _write(self, value: int) -> int:
            raise KeyError(value)

    with pytest.raises(CodecError, match="field 'number'"):
        encode(Own(number=1))


@pytest.mark.parametrize("size", [0, -1])
def test_size_limit(size: int) -> None:
    """A limit below one byte is refused."""
    with pytest.raises(ConfigurationError, match="max_message_size"):
        JsonCodec(max_message_size=size)


def test_class_that_cannot_be_json() -> None:
    """A class with a field that pydantic does not know is refused when it is prepared, naming class and event."""

    odd = event("odd")(dataclass(type("Odd", (), {"__annotations__": {"field": threading.Lock}})))
    with pytest.raises(ConfigurationError, match=r"event 'odd' \(.*Odd\) cannot be written as JSON"):
        codec.prepare(describe_event(odd))


def test_annotation_that_cannot_be_resolved() -> None:
    """A field whose annotation cannot be resolved is found when the class is prepared, not with the first event."""

    @event()
    @dataclass
    class Data:
        field: Nowhere  # type: ignore[name-defined]  # noqa: F821

    @event()
    class Model(BaseModel):
        field: Nowhere  # type: ignore[name-defined]  # noqa: F821

    for cls in (Data, Model):
        with pytest.raises(
            ConfigurationError, match=rf"event '{cls.__name__}' .* cannot be written as JSON: .*Nowhere"
        ):
            codec.prepare(describe_event(cls))


def refused(body: bytes, **envelope: Any) -> str:
    with pytest.raises(CodecError) as caught:
        codec.decode(Envelope(body, **envelope), describe_event(Order))
    return str(caught.value)


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"1", b'"x"', b"\xff\xfe", b'{"text": "\xff"}', b"{}x"])
def test_no_object(body: bytes) -> None:
    """What is no JSON object is refused."""
    assert "not a valid 'Order'" in refused(body)


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"number": "hunter2"}', "number"),
        (b'{"at": "hunter2"}', "at"),
        (b'{"key": "hunter2"}', "key"),
        (b'{"amount": "hunter2"}', "amount"),
        (b'{"blob": "hunter2!"}', "blob"),
        (b'{"colour": "hunter2"}', "colour"),
        (b'{"kind": "hunter2"}', "kind"),
        (b'{"inner": {"price": "hunter2"}}', "inner.price"),
        (b'{"many": [{}, {"price": "hunter2"}]}', "many.1.price"),
        (b'{"text": {"password": "hunter2"}}', "text"),
        (b'{"either": ["hunter2"]}', "either"),
        (b'{"text": "hunter2', "the whole"),
    ],
)
def test_receiver_names_fields_not_values(body: bytes, field: str) -> None:
    """A receiver's error names the field, and neither it nor its causes repeat the value."""
    with pytest.raises(CodecError, match=rf": {field}[:.]") as caught:
        codec.decode(Envelope(body), describe_event(Order))
    text = "".join(traceback.format_exception(type(caught.value), caught.value, caught.value.__traceback__))
    shown = "\n".join(line for line in text.splitlines() if "Error" in line)
    assert SECRET not in shown
    assert "found `h`" not in shown


def test_unknown_tag_is_not_repeated() -> None:
    """The tag of a discriminated union is a value as well."""

    class A(BaseModel):
        kind: Literal["a"]

    class B(BaseModel):
        kind: Literal["b"]

    either = Annotated[Union[A, B], Field(discriminator="kind")]
    tagged = event("Tagged")(type("Tagged", (BaseModel,), {"__annotations__": {"one": either}, "__module__": __name__}))
    with pytest.raises(CodecError, match="not a valid 'Tagged': one: ") as caught:
        codec.decode(Envelope(b'{"one": {"kind": "hunter2"}}'), describe_event(tagged))
    assert SECRET not in str(caught.value)


def test_many_errors_are_cut() -> None:
    """Only the first five problems are listed."""
    body = b'{"text": 1, "number": "x", "ratio": "x", "amount": "x", "at": "x", "key": "x", "colour": 1}'
    assert refused(body).endswith("(and 2 more)")


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/json", "Application/JSON; charset=utf-8", "text/plain", "application/cloudevents+json"],
)
def test_json_content_types(content_type: Optional[str]) -> None:
    """No content type, JSON, +json and text/plain are JSON."""
    assert codec.decode(Envelope(b"{}", content_type=content_type), describe_event(Order)) == Order()


@pytest.mark.parametrize("content_type", ["application/xml", "text/html", "application/octet-stream", "json"])
def test_other_content_types(content_type: str) -> None:
    """Every other content type is refused by name."""
    assert refused(b"{}", content_type=content_type) == f"the content type {content_type!r} is not JSON"


def test_unreadable() -> None:
    """What the provider could not read is refused with its reason."""
    assert refused(b"", unreadable="an AMQP map") == "the body cannot be read: an AMQP map"


def test_too_large_at_the_receiver() -> None:
    """The limit holds in both directions."""
    assert refused(b" " * 1001) == "the body has 1001 bytes; max_message_size is 1000"


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    """Whatever bytes arrive, decoding raises CodecError or answers an event."""
    with contextlib.suppress(CodecError):
        assert isinstance(codec.decode(Envelope(body), describe_event(Order)), Order)
