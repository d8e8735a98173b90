"""Providers that are stopped after the test, connected to each of the session's brokers in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable

import pytest

pytest.importorskip("stomp")

from aspyx_event.providers.stomp import StompProvider
from tests.integrations.amqp.support import TIMEOUT, States, unique

if TYPE_CHECKING:
    from tests.brokers import Broker

MakeProvider = Callable[..., StompProvider]

KINDS = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("artemis", "rabbitmq", "activemq")]


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each broker that speaks STOMP; a test for one of them parametrizes this fixture indirectly."""
    found: Broker = request.getfixturevalue(request.param)
    return found.start()


@pytest.fixture
def make_provider(broker: Any) -> Iterator[MakeProvider]:
    """Make (and, unless told not to, start) a provider; ``on_state=`` hears its reports."""
    made: list[StompProvider] = []

    def make(*, start: bool = True, on_state: Any = None, timeout: float = TIMEOUT, **options: Any) -> StompProvider:
        options.setdefault("server_name", unique("server"))
        options.setdefault("host", broker.host)
        options.setdefault("port", broker.stomp_port)
        options.setdefault("user", broker.user)
        options.setdefault("password", broker.password if options["user"] == broker.user else "")
        provider = StompProvider(**options)
        made.append(provider)
        if start:
            provider.start(on_state or States(), timeout=timeout)
        return provider

    yield make
    for provider in made:
        provider.stop(timeout=5)


@pytest.fixture
def provider(make_provider: MakeProvider) -> StompProvider:
    """A started provider."""
    return make_provider()


def only(*kinds: str) -> pytest.MarkDecorator:
    """Run a test against these brokers alone."""
    params = [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in kinds]
    return pytest.mark.parametrize("broker", params, indirect=True)
