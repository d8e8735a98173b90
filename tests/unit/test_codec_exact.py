"""Events of simple fields are written on a shorter way: the same bytes, and the same complaints."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Annotated, Any, Optional
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, computed_field, field_serializer, model_serializer
from pydantic import dataclasses as pydantic_dataclasses

from aspyx_event import CodecError, event
from aspyx_event.codec import JsonCodec
from aspyx_event.codec_schema import exact_types
from aspyx_event.events import describe_event


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    """A text that is not just a text."""


FIRST = UUID(int=1)


@event()
@dataclass
class Simple:
    number: int
    text: str = ""
    ratio: float = 0.0
    flag: bool = False
    day: date = date(2024, 1, 1)
    time: datetime = datetime(2024, 1, 1, tzinfo=timezone.utc)
    price: Decimal = Decimal(1)
    id: UUID = FIRST
    maybe: Optional[int] = None


@event()
@dataclass
class Finite:
    text: str = "null"
    number: int = 0
    day: Optional[date] = None
    flag: bool = False


@event()
class Model(BaseModel):
    number: int = Field(3, gt=2)
    text: str = ""
    maybe: Optional[Decimal] = None


VALUES: list[Any] = [
    1, -(2**70), 0.5, float("nan"), float("inf"), "a", "\ud800", "\x00", b"bytes", True, None, Level.LOW, Text("t"),
    Decimal("1.10"), Decimal("NaN"), date(2024, 2, 3), datetime(2024, 2, 3), UUID(int=2), [1], {"a": 1}, object(),
]  # fmt: skip


def written(codec: JsonCodec, event: Any) -> Any:
    """The body, or what the codec complains of."""
    try:
        return codec.encode(event, describe_event(type(event)))
    except CodecError as error:
        return str(error)


def on_the_long_way(event: Any) -> Any:
    """The same from a codec that looks closely at every event."""
    codec = JsonCodec()
    codec._shape(describe_event(type(event)))._exact = None
    return written(codec, event)


@given(st.data())
def test_dataclass(data: Any) -> None:
    """Whatever its fields hold, a dataclass is written as on the long way, or refused in the same words."""
    names = list(Simple.__dataclass_fields__)
    wrong = data.draw(st.dictionaries(st.sampled_from(names), st.sampled_from(VALUES), max_size=3))
    simple = Simple(**{"number": 1, **wrong})
    assert written(JsonCodec(), simple) == on_the_long_way(simple)


@given(st.dictionaries(st.sampled_from(list(Finite.__dataclass_fields__)), st.sampled_from(VALUES), max_size=3))
def test_dataclass_without_numbers_that_may_be_infinite(values: dict[str, Any]) -> None:
    """The same where nobody looks for NaN afterwards."""
    assert written(JsonCodec(), Finite(**values)) == on_the_long_way(Finite(**values))


def test_where_nobody_looks_for_nan() -> None:
    """Only where no field can hold one: Decimal has a NaN, too."""
    codec = JsonCodec()
    finite = {kind: codec._shape(describe_event(kind)).finite for kind in (Finite, Simple, Model)}
    assert finite == {Finite: True, Simple: False, Model: False}


@given(st.dictionaries(st.sampled_from(list(Model.model_fields)), st.sampled_from(VALUES), max_size=3))
def test_model(values: dict[str, Any]) -> None:
    """The same for a model, which may have been made without a check."""
    model = Model.model_construct(**values)
    assert written(JsonCodec(), model) == on_the_long_way(model)


def test_a_field_that_is_not_there() -> None:
    """An object without one of its fields is not taken for one of simple fields."""
    simple = Simple(1)
    del simple.number
    assert not JsonCodec()._shape(describe_event(Simple)).fits(simple)


def test_the_short_way_is_taken() -> None:
    """Fields of exact types, None where it is allowed, fit; a subclass of such a type does not."""
    shape = JsonCodec()._shape(describe_event(Simple))
    assert shape.fits(Simple(1))
    assert shape.fits(Simple(1, maybe=2))
    assert not shape.fits(Simple(Level.LOW))
    assert not shape.fits(Simple(1, Text("t")))


class OwnSerializer(BaseModel):
    number: int

    @field_serializer("number")
    def written(self, _value: int) -> Any:
        return "not a number"


class WholeSerializer(BaseModel):
    number: int

    @model_serializer
    def written(self) -> Any:
        return {"number": "not a number"}


class Computed(BaseModel):
    number: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def other(self) -> int:
        return 1


class Extras(BaseModel):
    model_config = ConfigDict(extra="allow")
    number: int


class Annotation(BaseModel):
    number: Annotated[int, PlainSerializer(str)]


class Nested(BaseModel):
    inner: Computed


@pydantic_dataclasses.dataclass(config=ConfigDict(extra="allow"))
class DataclassExtras:
    number: int


@dataclass
class Listed:
    numbers: list[int]


@dataclass
class Sealed:
    seal: bytes


@dataclass
class Levels:
    level: Level


@pytest.mark.parametrize(
    "cls",
    [OwnSerializer, WholeSerializer, Computed, Extras, Annotation, Nested, DataclassExtras, Listed, Sealed, Levels],
)
def test_other_classes(cls: Any) -> None:
    """A class with more than simple fields is always looked at closely."""
    from pydantic import TypeAdapter

    assert exact_types(TypeAdapter(cls).core_schema) is None
