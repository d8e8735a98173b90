"""Registries of their own for each test, and providers of both protocols on one broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aspyx_event import EventRegistry, Provider, event, event_listener
from aspyx_event.providers.amqp import AMQPProvider
from aspyx_event.providers.stomp import StompProvider
from tests.integrations.amqp.support import unique
from tests.unit.support import Collected

PROTOCOLS = ("amqp", "stomp")


class Shop:
    """Two events, a durable one with a listener and one that is not, and what arrived; names no other test has."""

    def __init__(self) -> None:
        self.prefix = unique("shop")
        self.placed, self.seen = unique("Placed"), unique("Seen")
        self.arrived = Collected[int]()

        @event(self.placed, durable=True)
        @dataclass
        class Placed:
            number: int = 0

        @event(self.seen)
        @dataclass
        class Seen:
            number: int = 0

        def handle(event: Any) -> None:
            self.arrived(event.number)

        def watch(event: Any) -> None:
            self.arrived(event.number)

        self.Placed, self.Seen = Placed, Seen
        self.registry = EventRegistry()
        self.registry.register(event_listener(Placed, "billing")(handle), event_listener(Seen, "watching")(watch))

    @property
    def queues(self) -> set[str]:
        """Their names on Artemis."""
        return {f"{self.prefix}.billing", f"{self.prefix}.watching", f"{self.prefix}.error"}

    def provider(self, protocol: str, running: Any, *, user: str = "", password: str = "", **options: Any) -> Provider:
        """A provider with the shop's prefix."""
        kind = AMQPProvider if protocol == "amqp" else StompProvider
        port = running.amqp_port if protocol == "amqp" else running.stomp_port
        login = (user, password) if user else (running.user, running.password)
        return kind(unique("server"), running.host, port, *login, prefix=self.prefix, **options)
