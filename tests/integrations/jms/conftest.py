"""The Java program, compiled once a session and run once a module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.brokers import BrokerUnavailable
from tests.integrations.jms.client import JmsClient

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker


@pytest.fixture(scope="session")
def java_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program; a missing Java or Maven is a skip at home and a failure where brokers are required."""
    classes = tmp_path_factory.mktemp("jms")
    try:
        JmsClient.install()
        JmsClient.compile(classes)
    except BrokerUnavailable as error:
        if os.environ.get("ASPYX_REQUIRE_BROKERS") == "1":
            pytest.fail(f"JMS client: {error}", pytrace=False)
        pytest.skip(f"JMS client: {error}")
    return classes


@pytest.fixture(scope="module")
def jms(artemis: ArtemisBroker, java_program: Path) -> Iterator[JmsClient]:
    """A running Java service, connected to Artemis."""
    with JmsClient(artemis.start(), java_program) as client:
        yield client
