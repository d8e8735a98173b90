"""Providers that are stopped after the test, connected to the session's Artemis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable

import pytest

pytest.importorskip("proton")

from aspyx_event.providers.amqp import AMQPProvider
from tests.integrations.amqp.support import TIMEOUT, States, unique

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker

MakeProvider = Callable[..., AMQPProvider]


@pytest.fixture
def make_provider(artemis: ArtemisBroker) -> Iterator[MakeProvider]:
    """Make (and, unless told not to, start) a provider; ``on_state=`` hears its reports."""
    artemis.start()
    made: list[AMQPProvider] = []

    def make(*, start: bool = True, on_state: Any = None, timeout: float = TIMEOUT, **options: Any) -> AMQPProvider:
        options.setdefault("server_name", unique("server"))
        options.setdefault("host", artemis.host)
        options.setdefault("port", artemis.amqp_port)
        options.setdefault("user", artemis.user)
        options.setdefault("password", artemis.password if options["user"] == artemis.user else "")
        provider = AMQPProvider(**options)
        made.append(provider)
        if start:
            provider.start(on_state or States(), timeout=timeout)
        return provider

    yield make
    for provider in made:
        provider.stop(timeout=5)


@pytest.fixture
def provider(make_provider: MakeProvider) -> AMQPProvider:
    """A started provider."""
    return make_provider()
