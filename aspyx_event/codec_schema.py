"""What is done with pydantic's core schemas: bytes in dataclasses as standard base64, and a look at what they say.

pydantic writes bytes as UTF-8 text, or as URL-safe base64 if a configuration asks for it; a dataclass takes no
configuration from outside. So its core schema is rewritten: every plain ``bytes`` node that stands inside a standard
library dataclass gets a base64 encoder and decoder. pydantic models and pydantic dataclasses keep what they say.
"""

from __future__ import annotations

import base64
import binascii
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic_core import core_schema

_NAMED = {"fields", "choices"}
"""Dictionaries whose keys are somebody's names: a field may be called ``metadata``."""
_SCALARS: dict[str, type] = {
    "bool": bool,
    "date": date,
    "datetime": datetime,
    "decimal": Decimal,
    "float": float,
    "int": int,
    "str": str,
    "uuid": UUID,
}
_OPAQUE = {"default", "default_factory", "metadata", "cls", "ref", "schema_ref", "config", "function", "expected"}


def base64_bytes(schema: Any) -> Any:
    """The schema with its dataclass bytes in base64; the same object when there are none."""
    return _rewrite(schema, inside=False)


def mentions(schema: Any, kind: str) -> bool:
    """Whether a node of this kind is in the schema."""
    if isinstance(schema, dict):
        # a node or a dictionary of names: to look into more than needed costs a moment, once
        return schema.get("type") == kind or any(mentions(value, kind) for value in schema.values())
    return isinstance(schema, (list, tuple)) and any(mentions(item, kind) for item in schema)


def exact_types(schema: Any) -> dict[str, tuple[type, ...]] | None:
    """For a class of simple fields alone: their types. An event whose values are of just these is written without a
    complaint. None for other classes: with lists, classes inside, serializers or computed fields of their own, extras.
    """
    inner = schema.get("schema", {})
    listed = inner.get("fields", ())
    if inner.get("type") == "dataclass-args":
        fields = {field["name"]: field["schema"] for field in listed if not field.get("init_only")}
    elif inner.get("type") == "model-fields":
        fields = {name: field["schema"] for name, field in listed.items()}
    else:
        return None
    if any("serialization" in node or _extras(node) or node.get("computed_fields") for node in (schema, inner)):
        return None
    types = {name: _exact(node) for name, node in fields.items()}
    return {name: kinds for name, kinds in types.items() if kinds} if all(types.values()) else None


def _extras(node: Any) -> bool:
    behaviour = node.get("extra_behavior") or node.get("config", {}).get("extra_fields_behavior")
    return behaviour == "allow" or "extras_schema" in node


def _exact(node: Any) -> tuple[type, ...]:
    """The types of a field, none if they are not that simple."""
    if "serialization" in node:
        return ()
    if node["type"] == "default":
        return _exact(node["schema"])
    if node["type"] == "nullable":
        inner = _exact(node["schema"])
        return (*inner, type(None)) if inner else ()
    return (_SCALARS[node["type"]],) if node["type"] in _SCALARS else ()


def words(schema: Any) -> frozenset[str]:
    """Every text of the schema: names of fields, types, choices and tags. What an error names besides is input."""
    found: set[str] = set()
    _collect(schema, found)
    return frozenset(found)


def _collect(node: Any, found: set[str]) -> None:
    if isinstance(node, str):
        found.add(node)
    elif isinstance(node, type):
        found.add(node.__name__)
    elif isinstance(node, dict):
        found.update(key for key in node if isinstance(key, str))
        for key, value in node.items():
            if key not in ("default", "metadata"):
                _collect(value, found)
    elif isinstance(node, (list, tuple)):
        for item in node:
            _collect(item, found)


def _rewrite(node: Any, *, inside: bool, named: bool = False) -> Any:
    if isinstance(node, dict):
        kind = None if named else node.get("type")
        if kind == "bytes" and inside and "serialization" not in node:
            return _base64(node)
        if kind == "dataclass":
            from pydantic.dataclasses import is_pydantic_dataclass  # takes as long to import as our own modules

            inside = not is_pydantic_dataclass(node["cls"])
        elif kind == "model":
            inside = False
        changed = {
            k: v if k in _OPAQUE and not named else _rewrite(v, inside=inside, named=k in _NAMED and not named)
            for k, v in node.items()
        }
        return changed if any(changed[key] is not node[key] for key in node) else node
    if isinstance(node, (list, tuple)):
        items = [_rewrite(item, inside=inside) for item in node]
        if all(new is old for new, old in zip(items, node)):
            return node
        return items if isinstance(node, list) else tuple(items)
    return node


def _base64(node: Any) -> Any:
    return core_schema.json_or_python_schema(
        json_schema=core_schema.chain_schema(
            [core_schema.no_info_after_validator_function(_decode, core_schema.str_schema()), node]
        ),
        python_schema=node,
        serialization=core_schema.plain_serializer_function_ser_schema(_encode, when_used="json"),
    )


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not standard base64 (RFC 4648 section 4)") from None


def _encode(value: Any) -> str:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"expected bytes, not {type(value).__name__}")
    return base64.b64encode(value).decode("ascii")
