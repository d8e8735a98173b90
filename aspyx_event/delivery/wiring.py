"""What is wired to what, as a table one can print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from aspyx_event.delivery.health import ListenerHealth
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Capabilities, Provider
from aspyx_event.registry import EventRegistry
from aspyx_event.retry import RetryPolicy

_HEADINGS = ("event", "durable", "listener", "queue", "concurrency", "attempts", "state", "handled", "failed", "dead")


@dataclass(frozen=True)
class WiringRow:
    """One listener, or an event without one in this registry."""

    event: str
    durable: bool
    listener: str = ""
    queue: str = ""
    concurrency: Optional[int] = None
    attempts: Optional[int] = None
    health: Optional[ListenerHealth] = None

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        health = self.health
        numbers = (health.handled, health.failed, health.dead_lettered) if health else ("", "", "")
        return tuple(
            str(cell if cell is not None else "")
            for cell in (
                self.event, "yes" if self.durable else "no", self.listener, self.queue, self.concurrency, self.attempts,
                health.state if health else ("not attached" if self.listener else ""), *numbers,
            )
        )  # fmt: skip


@dataclass(frozen=True)
class Wiring:
    """The wiring of a manager: ``print(manager.describe())``."""

    title: str
    rows: tuple[WiringRow, ...]

    def __str__(self) -> str:
        table = [_HEADINGS, *(row.cells() for row in self.rows)]
        widths = [max(len(row[column]) for row in table) for column in range(len(_HEADINGS))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
        notes = [
            f"{row.listener} is {row.health.state}: {row.health.detail}"
            for row in self.rows
            if row.health is not None and row.health.detail
        ]
        rule = "  ".join("-" * width for width in widths)
        return "\n".join([self.title, "", lines[0], rule, *lines[1:], *([""] if notes else []), *notes])


def policy_of(listener: EventListenerDescriptor, default: RetryPolicy) -> RetryPolicy:
    """The listener's policy before the event's before the manager's."""
    return listener.retry or listener.event.retry or default


def concurrency_of(listener: EventListenerDescriptor, *, workers: int, listeners: int) -> int:
    """How many events it may handle at once: by default one worker is left to the others, whatever it does."""
    default = workers - 1 if listeners > 1 and workers > 1 else workers
    return min(listener.concurrency or default, workers)


def describe(
    provider: Provider,
    registry: EventRegistry,
    *,
    workers: int,
    policy: RetryPolicy,
    health: dict[str, ListenerHealth],
) -> Wiring:
    """The table for a manager: a row for each listener, and for each event that has none."""
    heard = {listener.event.name for listener in registry.listeners}
    rows = [
        WiringRow(
            listener.event.name,
            listener.event.durable,
            listener.name,
            provider.queue_name(listener),
            concurrency_of(listener, workers=workers, listeners=len(registry.listeners)),
            policy_of(listener, policy).max_attempts,
            health.get(listener.name),
        )
        for listener in registry.listeners
    ]
    rows += [WiringRow(event.name, event.durable) for event in registry.events if event.name not in heard]
    return Wiring(f"{provider!r}, {workers} workers, errors to {provider.error_queue!r}", tuple(rows))


def unmet(capabilities: Capabilities, listeners: Sequence[EventListenerDescriptor], policy: RetryPolicy) -> list[str]:
    """Sentences about options that the provider cannot honour on this broker."""
    complaints = []
    for listener in listeners:
        if listener.durable and not capabilities.durable:
            complaints.append(f"durable=True of {listener.event.name!r}: nothing here survives a restart of the broker")
        if listener.per_process and not capabilities.per_process:
            complaints.append(f"per_process=True of {listener.name!r}: there is one queue for all processes")
        if any(policy_of(listener, policy).delayed) and not capabilities.delay:
            complaints.append(f"delayed retries of {listener.name!r}: they come back at once")
    return list(dict.fromkeys(complaints))
