"""The pairs of protocol and broker that every fault is tried on."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from tests.brokers import Broker

NAMES = ("amqp/artemis", "stomp/artemis", "amqp/rabbitmq", "stomp/rabbitmq")

PAIRS = [pytest.param(name, marks=getattr(pytest.mark, name.partition("/")[2]), id=name) for name in NAMES]
"""For ``parametrize``, with the broker's marker."""


@dataclass(frozen=True)
class Pair:
    """A protocol on a running broker, and a prefix that no other test uses: queues and event names carry it."""

    protocol: str
    broker: Any
    prefix: str = field(default_factory=lambda: f"f{uuid.uuid4().hex[:8]}")

    @classmethod
    def on(cls, name: str, broker: Broker) -> Pair:
        """The pair of this name, on a broker of that kind, which is started if it does not run."""
        protocol, _, kind = name.partition("/")
        assert broker.name == kind, f"{name} on {broker!r}"
        return cls(protocol, broker.start())

    @property
    def name(self) -> str:
        """As in `NAMES`."""
        return f"{self.protocol}/{self.broker.name}"

    @property
    def port(self) -> int:
        """Where the broker speaks the protocol in plain."""
        found: int = self.broker.amqp_port if self.protocol == "amqp" else self.broker.stomp_port
        return found

    def url(self, *, port: int | None = None, **options: object) -> str:
        """The provider's URL, with the prefix; ``port``: that of a proxy."""
        given = "".join(f"&{name}={quote(str(value))}" for name, value in options.items())
        login = f"{self.broker.user}:{self.broker.password}"
        return f"{self.protocol}://{login}@{self.broker.host}:{port or self.port}/?prefix={self.prefix}{given}"
