"""JsonCodec: what goes over the wire, and comes back."""

from __future__ import annotations

import base64
import enum
import json
import math
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from aspyx_event import Envelope, event
from aspyx_event.codec import JsonCodec
from aspyx_event.events import describe_event

codec = JsonCodec()


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Line(BaseModel):
    article: str
    price: Decimal


@dataclass
class Address:
    street: str
    seal: bytes = b""


class Point(NamedTuple):
    x: float
    y: float


class Extra(TypedDict):
    default: Address
    blob: bytes


@event()
@dataclass
class Everything:
    text: str
    number: int
    ratio: float
    flag: bool
    colour: Colour
    at: datetime
    day: date
    clock: time
    span: timedelta
    amount: Decimal
    key: uuid.UUID
    blob: bytes
    maybe: Optional[int]
    either: Union[int, str, None]
    kind: Literal["a", "b"]
    lines: list[Line]
    address: Address
    table: dict[str, list[int]]
    pair: tuple[int, str]
    unique: frozenset[int]
    point: Point
    blobs: dict[str, Optional[bytes]]


@event()
@dataclass
class Tree:
    value: bytes
    children: list[Tree] = field(default_factory=list)
    parent: Optional[Tree] = None


@event()
class Model(BaseModel):
    metadata: Address
    blob: bytes = b""
    next: Optional[Model] = None


def round_trip(value: Any) -> Any:
    descriptor = describe_event(type(value))
    return codec.decode(Envelope(codec.encode(value, descriptor)), descriptor)


finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text()  # without surrogates
decimals = st.decimals(allow_nan=False, allow_infinity=False)
addresses = st.builds(Address, text, st.binary())
everything = st.builds(
    Everything,
    text=text,
    number=st.integers(),
    ratio=finite,
    flag=st.booleans(),
    colour=st.sampled_from(Colour),
    at=st.datetimes(timezones=st.none() | st.just(timezone.utc)),
    day=st.dates(),
    clock=st.times(),
    span=st.timedeltas(min_value=timedelta(days=-10000), max_value=timedelta(days=10000)),
    amount=decimals,
    key=st.uuids(),
    blob=st.binary(),
    maybe=st.none() | st.integers(),
    either=st.none() | st.integers() | text,
    kind=st.sampled_from(["a", "b"]),
    lines=st.lists(st.builds(Line, article=text, price=decimals), max_size=3),
    address=addresses,
    table=st.dictionaries(text, st.lists(st.integers(), max_size=3), max_size=3),
    pair=st.tuples(st.integers(), text),
    unique=st.frozensets(st.integers(), max_size=3),
    point=st.builds(Point, finite, finite),
    blobs=st.dictionaries(text, st.none() | st.binary(), max_size=3),
)
trees = st.recursive(
    st.builds(Tree, st.binary()),
    lambda inner: st.builds(Tree, st.binary(), st.lists(inner, max_size=3), st.none() | inner),
    max_leaves=8,
)


@given(everything)
def test_round_trip(value: Everything) -> None:
    """Every value of every supported type comes back equal."""
    assert round_trip(value) == value


@given(trees)
def test_recursive_types(value: Tree) -> None:
    """A recursive dataclass comes back equal, with bytes at every depth."""
    assert round_trip(value) == value


@given(addresses)
def test_dataclass_in_a_model(address: Address) -> None:
    """A dataclass inside a pydantic model keeps its bytes, whatever the field is called."""
    value = Model(metadata=address)
    assert round_trip(value) == value


@given(st.binary())
def test_bytes_are_standard_base64(blob: bytes) -> None:
    """The bytes of a dataclass are standard base64 on the wire."""
    body = codec.encode(Tree(blob), describe_event(Tree))
    assert json.loads(body)["value"] == base64.b64encode(blob).decode("ascii")


def test_models_keep_their_own_bytes() -> None:
    """A pydantic model writes bytes as its own configuration says."""

    @event()
    class UrlSafe(BaseModel):
        model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
        blob: bytes

    assert json.loads(codec.encode(UrlSafe(blob=b"\xff\xfe"), describe_event(UrlSafe))) == {"blob": "__4="}
    assert (
        json.loads(codec.encode(Model(metadata=Address(""), blob=b"as text"), describe_event(Model)))["blob"]
        == "as text"
    )


def test_typed_dict_fields() -> None:
    """A field of a TypedDict may have any name, those of a schema's parts included."""

    @event()
    @dataclass
    class WithExtra:
        extra: Extra

    value = WithExtra({"default": Address("x", b"\xff"), "blob": b"\xfe"})
    assert round_trip(value) == value


@dataclass
class Ref:
    kind: Literal["ref"]
    blob: bytes


@dataclass
class Config:
    kind: Literal["config"]
    blob: bytes


@event()
class Tagged(BaseModel):
    one: Annotated[Union[Ref, Config], Field(discriminator="kind")]


def test_tagged_union() -> None:
    """The tags of a discriminated union may be any words."""
    value = Tagged(one=Ref("ref", b"\xff"))
    assert round_trip(value) == value


def test_deferred_model() -> None:
    """A model that puts off building its schema is complete in time."""

    @event()
    class Deferred(BaseModel):
        model_config = ConfigDict(defer_build=True)
        address: Address

    assert round_trip(Deferred(address=Address("", b"\xff"))) == Deferred(address=Address("", b"\xff"))


def test_bytes_keep_their_constraints() -> None:
    """A constraint on bytes holds at the receiver."""

    @event()
    @dataclass
    class Short:
        blob: Annotated[bytes, Field(max_length=2)]

    assert round_trip(Short(b"\xff\xff")) == Short(b"\xff\xff")
    with pytest.raises(Exception, match="blob: Data should have at most 2 bytes"):
        round_trip(Short(b"\xff\xff\xff"))


def test_compact_utf8_in_field_order() -> None:
    """The body is one compact UTF-8 JSON object, fields in the order of the class."""

    @event()
    @dataclass
    class Small:
        zebra: str
        apple: int

    assert codec.encode(Small("ü☃", 1), describe_event(Small)) == '{"zebra":"ü☃","apple":1}'.encode()
    assert codec.content_type == "application/json"


def test_tolerant_reader() -> None:
    """Unknown fields are ignored, defaults fill what is missing, and lax JSON mode converts."""

    @event()
    @dataclass
    class Reader:
        number: int
        note: str = "none"

    body = Envelope(b' {"number": "12", "surprise": {"a": 1}} ')
    assert codec.decode(body, describe_event(Reader)) == Reader(12, "none")


def test_model_may_be_strict() -> None:
    """A model that forbids extra fields, or is strict, stays so."""

    @event()
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        number: int

    for body in (b'{"number": "1"}', b'{"number": 1, "more": 2}'):
        with pytest.raises(Exception, match="not a valid 'Strict'"):
            codec.decode(Envelope(body), describe_event(Strict))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | finite | text, lambda c: st.lists(c) | st.dictionaries(text, c)
    )
)
def test_any(value: Any) -> None:
    """A field of type Any carries every JSON value."""

    result = round_trip(Loose(value)).value
    assert result == value or math.isclose(result, value)


@event()
@dataclass
class Loose:
    value: Any
