"""What a broker has to hold so that events reach their listeners, and how it differs. No protocol, no broker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aspyx_event.exceptions import ConfigurationError

ADDRESS, QUEUE, EXCHANGE, BINDING, SETTING, TOPIC = (
    "address", "queue", "exchange", "binding", "address-setting", "topic",
)  # fmt: skip
MISSING, DIFFERS, UNKNOWN = "missing", "differs", "unknown"
DEAD_LETTERS = "dead letters"
"""What uses the error queue."""

_HEADINGS = ("kind", "name", "properties", "used by")


@dataclass(frozen=True)
class Resource:
    """One thing on a broker. Immutable.

    kind: ``address``, ``queue``, ``exchange``, ``binding``, ``topic``, or ``address-setting``; which of them there are
    depends on the broker.
    name: as the broker calls it; a binding is ``source -> destination``.
    properties: what the library needs of it, by the broker's names of options; times are in milliseconds, as there.
    used_by: the events and listeners that need it, or ``dead letters``.
    """

    kind: str
    name: str
    properties: Mapping[str, Any] = field(default_factory=dict, hash=False)
    used_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"


@dataclass(frozen=True)
class Topology:
    """Everything that a registry needs on one broker: ``print(manager.topology())``. Immutable.

    broker: its kind, such as ``artemis``. resources: each once, in the order in which they can be created.
    """

    broker: str
    resources: tuple[Resource, ...]

    def __str__(self) -> str:
        rows = [
            (resource.kind, resource.name, text_of(resource.properties), ", ".join(resource.used_by))
            for resource in self.resources
        ]
        return f"what {self.broker} has to hold\n\n{_table([_HEADINGS, *rows])}"

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and strings, for JSON."""
        return {
            "broker": self.broker,
            "resources": [
                {"kind": r.kind, "name": r.name, "properties": dict(r.properties), "used_by": list(r.used_by)}
                for r in self.resources
            ],
        }


@dataclass(frozen=True)
class Difference:
    """Where a running broker is not as it has to be, or where that cannot be found out. Immutable.

    problem: ``missing``, ``differs``, or ``unknown`` (not checked, which is not the same as wrong).
    advice: a sentence: what was found, and what to do.
    """

    resource: Resource
    problem: str
    advice: str

    def __str__(self) -> str:
        used_by = f" (used by {', '.join(self.resource.used_by)})" if self.resource.used_by else ""
        return f"{self.problem}: {self.resource}{used_by}: {self.advice}"

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and strings, for JSON."""
        return {
            "problem": self.problem,
            "kind": self.resource.kind,
            "name": self.resource.name,
            "used_by": list(self.resource.used_by),
            "advice": self.advice,
        }


class MissingResources(ConfigurationError):
    """A provider with ``declare=False`` found that something is not on the broker. ``differences`` tells what."""

    def __init__(self, differences: Sequence[Difference]) -> None:
        self.differences = tuple(combined(differences))
        listed = "".join(f"\n  {difference}" for difference in self.differences)
        super().__init__(
            f"declare=False, and this is not on the broker:{listed}\n"
            "Create it ('python -m aspyx_event topology export' writes the broker's configuration), or let the "
            "provider do so: declare=True"
        )


def merged(broker: str, resources: Iterable[Resource]) -> Topology:
    """A topology in which each resource occurs once, used by all that named it."""
    found: dict[tuple[str, str], Resource] = {}
    for resource in resources:
        key = (resource.kind, resource.name)
        known = found.get(key)
        users = resource.used_by if known is None else (*known.used_by, *resource.used_by)
        properties = resource.properties if known is None else {**known.properties, **resource.properties}
        found[key] = Resource(resource.kind, resource.name, properties, tuple(dict.fromkeys(users)))
    return Topology(broker, tuple(found.values()))


def combined(differences: Iterable[Difference]) -> list[Difference]:
    """Each difference once, with the users of all that named it."""
    found: dict[tuple[str, str, str, str], Difference] = {}
    for new in differences:
        key = (new.resource.kind, new.resource.name, new.problem, new.advice)
        known = found.get(key, new)
        users = tuple(dict.fromkeys((*known.resource.used_by, *new.resource.used_by)))
        found[key] = replace(known, resource=replace(known.resource, used_by=users))
    return list(found.values())


def required(differences: Iterable[Difference]) -> list[str]:
    """For ``declare=False``: findings about all that is not missing. Raises MissingResources for what is."""
    found = list(differences)
    missing = [difference for difference in found if difference.problem == MISSING]
    if missing:
        raise MissingResources(missing)
    return [
        f"declare=False, and not every {difference.resource.kind} could be checked: {difference.advice}"
        if difference.problem == UNKNOWN
        else f"{difference.resource}: {difference.advice}"
        for difference in found
    ]


def text_of(properties: Mapping[str, Any]) -> str:
    """Properties in one line, as brokers write them: true and false, empty values in quotes."""
    return ", ".join(f"{name}={_word(value)}" for name, value in properties.items())


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if value != "" else "''"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
