"""@event and what it records."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from aspyx_event import ConfigurationError, EventDescriptor, RetryPolicy, event
from aspyx_event.events import check_name, describe_event, event_declaration, place


@event(name="above.dataclass", durable=True)
@dataclass
class Above:
    number: int


@dataclass
@event("below-dataclass")
class Below:
    number: int


@event()
class Model(BaseModel):
    number: int


class Plain:
    pass


def test_above_dataclass() -> None:
    """@event works above @dataclass."""
    assert describe_event(Above) == EventDescriptor("above.dataclass", Above, durable=True)


def test_below_dataclass() -> None:
    """@event works below @dataclass."""
    assert describe_event(Below) == EventDescriptor("below-dataclass", Below, durable=False)


def test_model() -> None:
    """A pydantic model is an event, and its name defaults to the class name."""
    assert describe_event(Model).name == "Model"
    assert str(describe_event(Model)) == "Model"


@pytest.mark.skipif(sys.version_info < (3, 10), reason="dataclass(slots=True) is new in Python 3.10")
@pytest.mark.parametrize("below", [True, False])
def test_slots(below: bool) -> None:
    """slots=True, which builds a new class, keeps the declaration in either order."""
    options: dict[str, bool] = {"slots": True}

    class Slotted:
        number: int

    cls = dataclass(**options)(event()(Slotted)) if below else event()(dataclass(**options)(Slotted))
    assert describe_event(cls).type is cls
    assert not hasattr(cls(), "__dict__") if dataclasses.fields(cls) == () else True


def test_subclass_is_no_event() -> None:
    """A subclass of an event is no event, and the error names its base."""

    @dataclass
    class Special(Above):
        pass

    assert event_declaration(Special) is None
    with pytest.raises(ConfigurationError, match=r"Special is not an event; its base .*Above is one.*@event\(\)"):
        describe_event(Special)


def test_decorated_subclass() -> None:
    """A decorated subclass is an event of its own, and its base stays what it was."""

    @event()
    @dataclass
    class Special(Above):
        pass

    assert describe_event(Special).name == "Special"
    assert describe_event(Above).name == "above.dataclass"


def test_undecorated() -> None:
    """An undecorated class is named, with what to do."""
    with pytest.raises(ConfigurationError, match=r"test_events\.Plain is not an event: decorate it with @event\(\)"):
        describe_event(Plain)


def test_neither_dataclass_nor_model() -> None:
    """A decorated class that is neither dataclass nor model is refused by name."""
    with pytest.raises(ConfigurationError, match=r"'Bare' .* neither a dataclass nor a pydantic model"):
        describe_event(event()(type("Bare", (), {})))


def test_without_parentheses() -> None:
    """@event without parentheses says so."""
    with pytest.raises(ConfigurationError, match=r"@event\(\) with parentheses on .*Plain"):
        event(Plain)  # type: ignore[arg-type]


def test_on_a_function() -> None:
    """@event on something that is no class says so."""
    with pytest.raises(ConfigurationError, match="which is no class"):
        event()(lambda: None)  # type: ignore[arg-type]


def test_retry_belongs_to_the_descriptor() -> None:
    """The event's retry policy is in its descriptor and does not make two descriptors differ."""
    policy = RetryPolicy(immediate=0)
    described = describe_event(event(retry=policy)(dataclass(type("Retried", (), {}))))
    assert described.retry is policy
    assert described == EventDescriptor("Retried", described.type)


def test_descriptor_is_immutable() -> None:
    """A descriptor cannot be changed."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        describe_event(Above).name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["a b", "a::b", "a/b", "ä", "a\n", "a:b", "#", "*", "a>"])
def test_bad_names(name: str) -> None:
    """A name that cannot be an address on every broker is refused at the decorator."""
    with pytest.raises(ConfigurationError, match=r"event name .* is not a name"):
        event(name)


@given(st.from_regex(r"[A-Za-z0-9_.-]+", fullmatch=True))
def test_good_names(name: str) -> None:
    """Letters, digits, '_', '.' and '-' make a name."""
    assert check_name(name, "name") == name


@given(
    st.text().filter(
        lambda text: not set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    )
)
def test_all_other_names(name: str) -> None:
    """Every other character makes none, a trailing newline and unicode digits included."""
    with pytest.raises(ConfigurationError):
        check_name(name, "name")


def test_place() -> None:
    """A place is module and qualified name."""
    assert place(Above) == f"{__name__}.Above"
