"""Real processes on real brokers: web servers send, ``manage.py events listen`` handles."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import BrokerUnavailable
from tests.brokers.host import HOST, free_ports
from tests.brokers.postgresql import PostgresServer
from tests.integrations.django.project import Program, Project, get, wait_until
from tests.integrations.django.shop.orders.listeners import HELD

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ON_ARTEMIS = pytest.param("amqp/artemis sqlite", marks=pytest.mark.artemis)
EVERYWHERE = [
    ON_ARTEMIS,
    pytest.param("amqp/artemis postgresql", marks=pytest.mark.artemis),
    pytest.param("stomp/activemq sqlite", marks=pytest.mark.activemq),
]
GUNICORN = ("-m", "gunicorn", "--workers", "2", "--log-level", "warning", "tests.integrations.django.shop.wsgi")


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """The project on the broker and in the database that the test's parameter names; its tables are made."""
    pair, database = request.param.split()
    protocol, _, name = pair.partition("/")
    pytest.importorskip({"amqp": "proton", "stomp": "stomp"}[protocol])
    broker: Any = request.getfixturevalue(name).start()
    port = broker.amqp_port if protocol == "amqp" else broker.stomp_port
    prefix = f"shop{uuid.uuid4().hex[:8]}"
    url = f"{protocol}://{broker.user}:{broker.password}@{broker.host}:{port}/?prefix={prefix}"
    with ExitStack() as stack:
        server = ""
        if database == "postgresql":
            pytest.importorskip("psycopg")
            try:
                server = stack.enter_context(PostgresServer()).url
            except BrokerUnavailable as error:
                pytest.skip(str(error))
        made = stack.enter_context(Project(tmp_path, url=url, database=server))
        made.migrate()
        yield made


def serve(project: Project, *options: str) -> tuple[str, Program]:
    """A web server with two processes: its address, and itself."""
    (port,) = free_ports(1)
    server = project.start(*GUNICORN, "--bind", f"{HOST}:{port}", *options)
    return f"http://{HOST}:{port}", server


def listen(project: Project) -> Program:
    """A process that listens, once it does."""
    listener = project.manage("events", "listen")
    listener.wait_for("is connected")
    return listener


def booked(project: Project, listener: str = "Bookkeeping") -> list[int]:
    """The orders that a listener has booked."""
    rows = project.query(f"SELECT number FROM orders_booking WHERE listener = '{listener}'")
    return sorted(row[0] for row in rows)


@pytest.mark.parametrize("project", EVERYWHERE, indirect=True)
def test_web_processes_send_and_a_command_listens(project: Project) -> None:
    """Each gunicorn worker connects by itself; what is committed is handled, once, what is rolled back never.

    Events wait while nobody listens; a listener that is told to end says what it did.
    """
    listener = listen(project)
    address, server = serve(project)
    placed, senders = [], set()
    while len(senders) < 2 or len(placed) < 20:
        senders.add(int(get(f"{address}/orders/{len(placed) + 1}")))
        placed.append(len(placed) + 1)
        assert len(placed) < 500, "both workers get requests"
    get(f"{address}/orders/1000?fail")
    senders.add(int(get(f"{address}/async/1001")))
    wait_until("all bookings", lambda: len(booked(project)) > len(placed))
    wait_until("all async bookings", lambda: len(booked(project, "AsyncBookkeeping")) > len(placed))

    assert listener.end() == 0, listener.output
    handled = f"{len(placed) + 1} handled"
    assert f"stopped: Bookkeeping {handled}; AsyncBookkeeping {handled}\n" in listener.output
    assert booked(project) == booked(project, "AsyncBookkeeping") == [*placed, 1001]
    pids = {row[0] for row in project.query("SELECT pid FROM orders_booking")}
    assert pids == {listener.process.pid}

    get(f"{address}/orders/2000")
    second = listen(project)
    wait_until("the order that waited", lambda: 2000 in booked(project))
    assert second.end() == 0, second.output
    assert server.end() == 0, server.output
    assert server.count("is connected") == 2, server.output


@pytest.mark.parametrize("project", [ON_ARTEMIS], indirect=True)
def test_a_manager_from_before_the_fork(project: Project) -> None:
    """With ``--preload`` the parent sends before it forks; its workers connect by themselves, and send as well."""
    project.environment["SHOP_SENDS_EARLY"] = "1"
    address, server = serve(project, "--preload")
    senders: set[int] = set()
    placed = [1]
    while len(senders) < 2:
        placed.append(len(placed) + 1)
        senders.add(int(get(f"{address}/orders/{placed[-1]}")))
        assert len(placed) < 500, "both workers get requests"
    listener = listen(project)
    wait_until("all bookings", lambda: booked(project) == placed)
    assert server.end() == 0, server.output
    assert server.count("is connected") == 3, server.output
    assert listener.end() == 0, listener.output


@pytest.mark.parametrize("project", [ON_ARTEMIS], indirect=True)
def test_sigterm_drains(project: Project) -> None:
    """A listener that runs when SIGTERM comes is waited for, and its event is not handled again."""
    listener = listen(project)
    address, _ = serve(project)
    get(f"{address}/orders/{HELD}")
    listener.wait_for("holding")
    listener.process.send_signal(signal.SIGTERM)
    listener.wait_for("SIGTERM: stopping")
    assert booked(project) == []
    (project.directory / "go-on").touch()
    assert listener.process.wait(60) == 0, listener.output
    assert booked(project) == [HELD]

    second = listen(project)
    get(f"{address}/orders/1")
    wait_until("the next order", lambda: 1 in booked(project))
    assert second.end() == 0, second.output
    assert booked(project) == [1, HELD]


@pytest.mark.parametrize("project", [EVERYWHERE[1]], indirect=True)
def test_a_database_that_ends_connections(project: Project) -> None:
    """With CONN_MAX_AGE=None workers keep their connection; where the server ended it, one attempt fails, no more."""
    listener = listen(project)
    address, _ = serve(project)
    get(f"{address}/orders/1")
    wait_until("the first booking", lambda: booked(project) == [1])
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'listener' AND state = 'idle'"
    )
    wait_until("the connection that it keeps", lambda: bool(project.query(end)))
    for number in range(2, 12):  # more than there are workers
        get(f"{address}/orders/{number}")
    wait_until("all bookings", lambda: booked(project) == list(range(1, 12)))
    assert listener.end() == 0, listener.output
    assert "in the error queue" not in listener.output
    assert "ResourceWarning" not in listener.output, "kept connections are closed at the end"


@pytest.mark.parametrize("project", [ON_ARTEMIS], indirect=True)
def test_the_reloader_of_runserver(project: Project) -> None:
    """Of its two processes the one that serves connects, with its first send; a change of the code connects anew."""
    (port,) = free_ports(1)
    extra = project.add_app("extra", "listeners", "")
    server = project.manage("runserver", f"{HOST}:{port}")
    get(f"http://{HOST}:{port}/orders/1")
    assert server.count("is connected") == 1, server.output
    extra.write_text("NOTHING = 1\n")
    os.utime(extra, (2_000_000_000, 2_000_000_000))
    server.wait_for("Performing system checks", count=2)
    get(f"http://{HOST}:{port}/orders/2")
    assert server.count("is connected") == 2, server.output
    listener = listen(project)
    wait_until("all bookings", lambda: booked(project) == [1, 2])
    assert listener.end() == 0, listener.output


_GREETING = """\
import logging
from aspyx_event import event_listener
from tests.integrations.django.shop.orders.events import OrderPlaced


@event_listener(OrderPlaced)
def greeting(event: OrderPlaced) -> None:
    logging.getLogger("aspyx_event.greeting").warning("{} %d", event.number)
"""


@pytest.mark.parametrize("project", [ON_ARTEMIS], indirect=True)
def test_listening_with_autoreload(project: Project) -> None:
    """A change of a listener's file is handled by the new code; a file that cannot be imported is waited for."""
    file = project.add_app("extra", "listeners", _GREETING.format("hello"))
    address, _ = serve(project)
    listener = project.manage("events", "listen", "--autoreload")
    listener.wait_for("is connected")
    get(f"{address}/orders/1")
    listener.wait_for("hello 1")

    file.write_text("half a li")
    os.utime(file, (2_000_000_000, 2_000_000_000))
    listener.wait_for("waiting for a change of the code")
    file.write_text(_GREETING.format("good day"))
    os.utime(file, (2_000_000_100, 2_000_000_100))
    listener.wait_for("is connected", count=2)
    get(f"{address}/orders/2")
    listener.wait_for("good day 2")
    assert listener.count("hello") == 1
