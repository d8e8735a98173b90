"""``send``: an event from its JSON."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import uuid
from collections.abc import Iterable, Mapping
from typing import Optional

from pydantic import BaseModel

from aspyx_event.cli.codes import OK
from aspyx_event.cli.screen import Screen
from aspyx_event.codec import JsonCodec
from aspyx_event.envelope import CE_ID, Envelope
from aspyx_event.events import describe_event
from aspyx_event.exceptions import CodecError, ConfigurationError
from aspyx_event.manager import SEND_TIMEOUT, EventManager
from aspyx_event.registry import EventRegistry


def send(
    manager: EventManager,
    screen: Screen,
    event_type: type,
    body: str,
    *,
    headers: Optional[Mapping[str, str]] = None,
    key: Optional[str] = None,
    delay: Optional[float] = None,
    ttl: Optional[float] = None,
    id: Optional[str] = None,
    timeout: float = SEND_TIMEOUT,
    as_json: bool = False,
) -> int:
    """Send one event, made from its JSON and checked by its own model; shows its id once the broker has confirmed it.

    The other arguments are those of ``manager.send_event``. Raises CodecError for JSON that is no such event, and what
    ``send_event`` raises. The manager runs; ``start(listen=False)`` is enough.
    """
    descriptor = describe_event(event_type)
    id = id or str(uuid.uuid4())
    _check_fields(event_type, body)
    event = JsonCodec().decode(Envelope(_encoded(body), {CE_ID: id}), descriptor)
    manager.send_event(event, headers=headers, key=key, delay=delay, ttl=ttl, id=id, timeout=timeout)
    if as_json:
        screen.json({"event": descriptor.name, "id": id})
    else:
        screen.text(f"{descriptor.name} {id} is confirmed")
    return OK


def body_from(argument: str) -> str:
    """The JSON that an argument gives: itself, or for ``-`` what comes from stdin. Raises CodecError."""
    if argument != "-":
        return argument
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise CodecError("what came from stdin is not UTF-8") from error


def event_named(registry: EventRegistry, name: str, *, owner: str) -> type:
    """The class of an event. ``owner`` is what error messages call its application. Raises ConfigurationError."""
    for event in registry.events:
        if event.name == name:
            return event.type
    there = ", ".join(sorted(event.name for event in registry.events)) or "none"
    raise ConfigurationError(f"the {owner} has no event {name!r}; there are: {there}")


def headers_from(texts: Iterable[str]) -> dict[str, str]:
    """From ``["tenant=shop", ...]``. Raises ConfigurationError."""
    headers: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name or name in headers:
            raise ConfigurationError(f"header {text!r}: write name=value, each name once")
        headers[name] = value
    return headers


def _check_fields(event_type: type, body: str) -> None:
    """A receiver ignores fields that it does not know; at a prompt they are slips of the pen. Raises CodecError."""
    known = _fields(event_type)
    with contextlib.suppress(ValueError):  # what is no JSON, the codec says better
        given = json.loads(body)
        unknown = sorted(set(given) - known) if isinstance(given, dict) and known is not None else []
        if unknown:
            raise CodecError(
                f"{event_type.__name__} has no field {unknown[0]!r}; it has {', '.join(sorted(known or ()))}"
            )


def _fields(event_type: type) -> Optional[set[str]]:
    """The names of all fields, aliases included; None where any are allowed, or an alias is more than a name."""
    if dataclasses.is_dataclass(event_type):
        return {field.name for field in dataclasses.fields(event_type)}
    if not issubclass(event_type, BaseModel) or event_type.model_config.get("extra") == "allow":
        return None
    names: set[str] = set()
    for name, field in event_type.model_fields.items():
        aliases = [alias for alias in (field.alias, field.validation_alias) if alias is not None]
        if not all(isinstance(alias, str) for alias in aliases):
            return None
        names.update((name, *map(str, aliases)))
    return names


def _encoded(body: str) -> bytes:
    try:
        return body.encode()
    except UnicodeEncodeError as error:
        raise CodecError("the JSON holds bytes that are not UTF-8") from error
