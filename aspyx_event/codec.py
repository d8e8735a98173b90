"""Events to JSON bytes and back."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, SchemaSerializer, SchemaValidator, from_json

from aspyx_event.codec_schema import base64_bytes, exact_types, mentions, words
from aspyx_event.envelope import JSON, Envelope, shown
from aspyx_event.events import EventDescriptor, place
from aspyx_event.exceptions import CodecError, ConfigurationError

DEFAULT_MAX_MESSAGE_SIZE = 4 * 1024 * 1024

_INNER_FIELD = re.compile(r"field_name='([^']+)'")
_WITHOUT_VALUES = {
    "union_tag_invalid": "The tag is none of those expected",
    "uuid_parsing": "Input should be a valid UUID",
}
"""For the few messages of pydantic that repeat a part of the input."""
MAX_DEPTH = 200
"""How deep pydantic reads lists and objects in each other; a body that goes deeper is not valid JSON to it."""
_DEEP = (
    "any",
    "definition-ref",
    "function-plain",
    "function-wrap",
    "function-before",
    "function-after",
    "custom-error",
)
"""Nodes of a schema below which more levels may come than it shows."""
_BOUNDLESS = {float, Decimal}
"""Types with values that JSON has not."""
_MISSING = object()
_UNPRINTABLE = "a lone surrogate or bytes that are not UTF-8"


class Codec(Protocol):
    """Turns events into bytes and back. Thread-safe."""

    content_type: str

    def prepare(self, event: EventDescriptor) -> None:
        """Build what the event's class needs. Raises ConfigurationError when the class cannot be an event."""

    def encode(self, event: Any, descriptor: EventDescriptor) -> bytes:
        """Raises CodecError."""
        ...

    def decode(self, envelope: Envelope, descriptor: EventDescriptor) -> Any:
        """Raises CodecError."""


class JsonCodec:
    """Compact UTF-8 JSON by pydantic, fields in the order of the class.

    Dataclasses and models alike; a pydantic model's own configuration holds, and its lax JSON mode unless the model
    says otherwise. ``max_message_size`` bounds a body in bytes, in both directions; lists and objects may be nested 200
    levels deep, in both directions.
    """

    content_type = JSON

    def __init__(self, *, max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE) -> None:
        if max_message_size < 1:
            raise ConfigurationError(f"max_message_size={max_message_size!r}: a number of bytes from 1 on")
        self.max_message_size = max_message_size
        self._lock = threading.Lock()
        self._shapes: dict[type, _Shape] = {}

    def prepare(self, event: EventDescriptor) -> None:
        """Build validator and serializer of the event's class once. Raises ConfigurationError, naming the class."""
        self._shape(event)

    def encode(self, event: Any, descriptor: EventDescriptor) -> bytes:
        """The event as JSON. Raises CodecError for wrong field types, NaN, infinity, too many levels and bytes."""
        shape = self._shape(descriptor)
        fits = shape.fits(event)
        try:
            # A text for ``warnings`` costs pydantic 4 us, and lets go of the interpreter's lock, so that the threads of
            # sender and listener take turns for each event.
            body: bytes = shape.serializer.to_json(event, warnings=False if fits else "error")
        except PydanticSerializationError as error:
            raise CodecError(f"event {descriptor.name!r} cannot be sent: {shape.complaint(event, error)}") from error
        # What fits, and can only be finite, needs no closer look. To search 4 KiB for these words takes 7 us.
        searched = not (fits and shape.finite)
        # pydantic writes NaN as null: look closer
        if searched and (b"null" in body or b"NaN" in body or b"Infinity" in body):
            spot = _not_finite(shape.serializer.to_python(event, warnings=False), "")
            if spot is not None:
                raise CodecError(
                    f"event {descriptor.name!r} cannot be sent: field {spot!r} is NaN or infinite, which JSON has not"
                )
        if shape.literal or (searched and b"null" in body):
            misfit = shape.misfit(body)
            if misfit is not None:
                raise CodecError(f"event {descriptor.name!r} cannot be sent: {misfit}")
        if shape.deep and body.count(b"[") + body.count(b"{") > MAX_DEPTH:
            spot = shape.too_deep(event, body)
            if spot is not None:
                raise CodecError(
                    f"event {descriptor.name!r} cannot be sent: {spot} is nested more than {MAX_DEPTH} levels "
                    "deep, which no receiver reads"
                )
        if len(body) > self.max_message_size:
            raise CodecError(
                f"event {descriptor.name!r} cannot be sent: its body has {len(body)} bytes, and max_message_size is "
                f"{self.max_message_size}; send a reference to the data instead{shape.largest(event)}"
            )
        return body

    def decode(self, envelope: Envelope, descriptor: EventDescriptor) -> Any:
        """The event in an envelope. Raises CodecError, naming the fields that do not fit, never their values."""
        if envelope.unreadable:
            raise CodecError(f"the body cannot be read: {envelope.unreadable}")
        if not _is_json(envelope.content_type):
            raise CodecError(f"the content type {shown(envelope.content_type or '')!r} is not JSON")
        if len(envelope.body) > self.max_message_size:
            raise CodecError(f"the body has {len(envelope.body)} bytes; max_message_size is {self.max_message_size}")
        shape = self._shape(descriptor)
        try:
            return shape.validator.validate_json(envelope.body)
        except ValidationError as error:
            found = shape.problems(error)
            raise CodecError(f"the body is not a valid {descriptor.name!r}: {found}") from ValueError(found)
        except (ValueError, TypeError, RecursionError) as error:
            raise CodecError(f"the body is not a valid {descriptor.name!r}: {type(error).__name__}") from error

    def _shape(self, event: EventDescriptor) -> _Shape:
        shape = self._shapes.get(event.type)
        if shape is None:
            with self._lock:
                shape = self._shapes.setdefault(event.type, _Shape(event))
        return shape


class _Shape:
    """Validator and serializer of one class, built by pydantic and then used without its per-call look-ups."""

    def __init__(self, event: EventDescriptor) -> None:
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(event.type)
            if hasattr(adapter, "rebuild"):  # since pydantic 2.10, which puts off what it cannot resolve
                adapter.rebuild(raise_errors=True)
            schema = base64_bytes(adapter.core_schema)
            changed = schema is not adapter.core_schema
            self.validator: Any = _from_schema(SchemaValidator, schema) if changed else adapter.validator
            self.serializer: Any = _from_schema(SchemaSerializer, schema) if changed else adapter.serializer
        except Exception as error:  # pydantic raises many kinds here, all about the class
            raise ConfigurationError(
                f"event {event.name!r} ({place(event.type)}) cannot be written as JSON: {_first_line(error)}; "
                "every field needs a type that pydantic knows and can resolve from the class's module"
            ) from error
        fields: Any = getattr(event.type, "model_fields", None) or getattr(event.type, "__dataclass_fields__", ())
        self.fields: tuple[str, ...] = tuple(fields)
        self.literal = mentions(schema, "literal")
        self.deep = any(mentions(schema, kind) for kind in _DEEP)
        self._words = words(schema)
        exact = exact_types(schema)
        self._exact = None if exact is None else tuple(exact.items())
        self.finite = exact is not None and not any(_BOUNDLESS & set(kinds) for kinds in exact.values())
        """Whether its fields are simple ones, and none can be NaN or infinite."""

    def fits(self, event: Any) -> bool:
        """Whether every field holds a value of just its type, as far as that is seen at a glance."""
        if self._exact is None:
            return False
        for name, kinds in self._exact:  # noqa: SIM110 - a generator would take longer than all the rest
            if type(getattr(event, name, _MISSING)) not in kinds:
                return False
        return True

    def complaint(self, event: Any, error: Exception) -> str:
        """Which field of the event is to blame, found by writing them one by one."""
        for name in self.fields:
            value = getattr(event, name, None)
            try:
                self.serializer.to_json(event, warnings="error", include={name})
            except PydanticSerializationError as own:
                text = str(own)
                if "utf-8" in text.lower():
                    return f"field {name!r} holds {_UNPRINTABLE}"
                if "depth exceeded" in text or "Circular reference" in text:
                    return f"field {name!r} is nested too deeply, or holds itself"
                inner = _INNER_FIELD.search(text)
                deeper = f", there {inner.group(1)!r}," if inner and inner.group(1) != name else ""
                return f"field {name!r}{deeper} holds a value that does not fit its type ({type(value).__name__})"
        return _first_line(error)

    def misfit(self, body: bytes) -> str | None:
        """What pydantic writes without a word and no receiver takes: None, and values that are not in a Literal."""
        try:
            self.validator.validate_json(body)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_context=False):
                where = ".".join(map(str, detail["loc"]))
                if detail["type"] == "literal_error":
                    return (
                        f"field {where!r} holds a value that does not fit its type ({type(detail['input']).__name__})"
                    )
                if detail["input"] is None:
                    return f"field {where!r} is None, which its type does not allow"
        return None

    def problems(self, error: ValidationError) -> str:
        """Fields and reasons, without the values: they may be secret, and this goes into logs."""
        details = error.errors(include_input=False, include_url=False, include_context=False)
        shown = [f"{self._where(d['loc'])}: {_WITHOUT_VALUES.get(d['type'], d['msg'])}" for d in details[:5]]
        more = f" (and {len(details) - 5} more)" if len(details) > 5 else ""
        return "; ".join(shown) + more

    def _where(self, path: tuple[int | str, ...]) -> str:
        """A path of the names that the class knows; the keys of a dictionary are data like its values."""
        return ".".join(self._known(part) for part in path) or "the whole"

    def _known(self, part: int | str) -> str:
        if isinstance(part, int) or part == "[key]" or part in self._words:
            return str(part)
        kind = part.partition("[")[0]  # as in list[int], which pydantic calls a choice
        return kind if kind in self._words and part.endswith("]") else "*"

    def too_deep(self, event: Any, body: bytes) -> str | None:
        """Which field goes deeper than receivers read; None: none does."""
        if not _too_deep(body):
            return None
        for name in self.fields:
            if _too_deep(self.serializer.to_json(event, warnings=False, include={name})):
                return f"field {name!r}"
        return "it"

    def largest(self, event: Any) -> str:
        """A hint at the biggest field."""
        sizes = [(len(self.serializer.to_json(event, warnings=False, include={name})), name) for name in self.fields]
        return f" (its largest field is {max(sizes)[1]!r})" if sizes else ""


def _from_schema(build: Any, schema: Any) -> Any:
    """pydantic 2.13 takes a model class's own validator in place of our changed schema, unless told not to."""
    try:
        return build(schema, None, False)
    except TypeError:  # before 2.13
        return build(schema)


def _is_json(content_type: str | None) -> bool:
    if content_type == JSON or not content_type:
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return kind in (JSON, "text/plain") or kind.endswith("+json")


def _too_deep(body: bytes) -> bool:
    try:
        from_json(body)
    except ValueError as error:
        return "recursion" in str(error)
    return False


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _not_finite(value: Any, path: str) -> str | None:
    """The path of the first number that is not finite; None when all are."""
    if isinstance(value, float):
        return None if math.isfinite(value) else path
    if isinstance(value, Decimal):
        return None if value.is_finite() else path
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        items = [(str(position), item) for position, item in enumerate(value)]
    else:
        return None
    for name, item in items:
        found = _not_finite(item, f"{path}.{name}" if path else name)
        if found is not None:
            return found
    return None
