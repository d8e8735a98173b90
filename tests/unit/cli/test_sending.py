"""``send``: which JSON is which event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from aspyx_event import CodecError, ConfigurationError, event, event_listener
from aspyx_event.cli.actions.sending import headers_from, send
from aspyx_event.testing import EventHarness
from tests.unit.cli.support import ReadScreen
from tests.unit.support import DEADLINE


@event()
@dataclass
class Plain:
    id: int
    note: str = ""


@event()
class Strict(BaseModel):
    id: int = Field(gt=0)
    note: Optional[str] = Field(None, alias="remark")


@event()
class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    id: int


@event()
class Choosy(BaseModel):
    id: int = Field(validation_alias=AliasChoices("id", "number"))


@event_listener(Plain)
def plain(event: Plain) -> None:
    pass


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (Plain, '{"id": 1, "note": "ü"}', Plain(1, "ü")),
        (Strict, '{"id": 1, "remark": "x"}', Strict(id=1, remark="x")),
        (Open, '{"id": 1, "more": 2}', Open(id=1, more=2)),  # type: ignore[call-arg]
        (Choosy, '{"number": 1}', Choosy(number=1)),  # type: ignore[call-arg]
    ],
)
def test_what_is_sent(kind: type, body: str, expected: Any) -> None:
    """The event is what its own class makes of the JSON."""
    screen = ReadScreen()
    with EventHarness(kind) as harness:
        assert send(harness.manager, screen, kind, body, id="e-1", headers={"tenant": "t"}, key="k") == 0
        assert harness.sent(kind) == [expected]
        [envelope] = harness.envelopes(kind)
    assert (envelope.id, envelope.key, envelope.headers) == ("e-1", "k", {"tenant": "t"})
    assert screen.out.getvalue() == f"{kind.__name__} e-1 is confirmed\n"


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        (Plain, '{"id": 1, "nothing": 2}', "Plain has no field 'nothing'; it has id, note"),
        (Strict, '{"id": 1, "comment": ""}', "no field 'comment'; it has id, note, remark"),
        (Strict, '{"id": 0}', "id"),
        (Plain, "not JSON", "JSON"),
        (Plain, '{"id": 1, "note": "\udcff"}', "not UTF-8"),
    ],
)
def test_what_is_not(kind: type, body: str, words: str) -> None:
    """JSON that is no such event is a CodecError, and nothing is sent."""
    with EventHarness(kind) as harness:
        with pytest.raises(CodecError, match=words):
            send(harness.manager, ReadScreen(), kind, body)
        assert harness.sent(kind) == []


def test_it_arrives() -> None:
    """A listener gets it, with a new id; for scripts there is JSON."""
    screen = ReadScreen()
    with EventHarness(plain) as harness:
        send(harness.manager, screen, Plain, '{"id": 1}', as_json=True, delay=60)
        harness.wait_idle(DEADLINE)
        assert harness.handled(plain) == [Plain(1)]
        assert screen.json_value == {"event": "Plain", "id": harness.envelopes(Plain)[0].id}


def test_headers() -> None:
    """name=value, each once; the value may hold anything."""
    assert headers_from(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    for wrong in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(ConfigurationError, match="name=value"):
            headers_from(wrong)
