"""Fixtures for all tests: real brokers, once a session, and a check that no test leaves anything behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import settings

from tests.brokers import Broker, BrokerUnavailable
from tests.leaks import Resources, leaked_since

if TYPE_CHECKING:
    from tests.brokers.activemq import ActiveMQBroker
    from tests.brokers.artemis import ArtemisBroker
    from tests.brokers.management import ArtemisManagement
    from tests.brokers.rabbitmq import RabbitMQBroker
    from tests.browser import Browser

settings.register_profile("aspyx", deadline=None)  # a busy machine is no failure
settings.load_profile("aspyx")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background of a shell; programs of tests inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]

_B = TypeVar("_B", bound="Broker | Browser")


def _running(kind: type[_B]) -> Iterator[_B]:
    """Yield a started broker, or browser; a missing one is a skip at home and a failure where brokers are required."""
    try:
        kind.install()
        made = kind()
        with made:
            yield made
    except BrokerUnavailable as error:
        if os.environ.get("ASPYX_REQUIRE_BROKERS") == "1":
            pytest.fail(f"{kind.name}: {error}", pytrace=False)
        pytest.skip(f"{kind.name}: {error}")


@pytest.fixture(scope="session")
def artemis() -> Iterator[ArtemisBroker]:
    """A running Apache Artemis. A test that stops it starts it again."""
    from tests.brokers.artemis import ArtemisBroker

    yield from _running(ArtemisBroker)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQBroker]:
    """A running RabbitMQ 4. A test that stops it starts it again."""
    from tests.brokers.rabbitmq import RabbitMQBroker

    yield from _running(RabbitMQBroker)


@pytest.fixture(scope="session")
def activemq() -> Iterator[ActiveMQBroker]:
    """A running ActiveMQ Classic. A test that stops it starts it again."""
    from tests.brokers.activemq import ActiveMQBroker

    yield from _running(ActiveMQBroker)


@pytest.fixture
def artemis_management(artemis: ArtemisBroker) -> Iterator[ArtemisManagement]:
    """What Artemis says about its queues."""
    from tests.brokers.management import ArtemisManagement

    with ArtemisManagement(artemis.start()) as management:
        yield management


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where a test puts the pictures that it makes: with ASPYX_WRITE_IMAGES=1 into the documentation."""
    return ROOT / "docs" / "images" if os.environ.get("ASPYX_WRITE_IMAGES") == "1" else tmp_path


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser of its own for each test, so that no page and no cookie is left from another one."""
    from tests.browser import Browser

    yield from _running(Browser)


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, socket or pipe behind."""
    before = Resources.now()
    yield
    if request.node.get_closest_marker("may_leak") is None and (leaks := leaked_since(before)):
        pytest.fail("left behind: " + "; ".join(leaks), pytrace=False)
