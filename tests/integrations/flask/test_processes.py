"""Web processes that send and processes that listen, on a real Artemis: gunicorn, the reloader, signals."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("proton")
pytest.importorskip("gunicorn")

from tests.faults.waiting import wait_until
from tests.integrations.flask.parcels import SERVICE, Parcels

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker
    from tests.brokers.management import ArtemisManagement

pytestmark = [pytest.mark.artemis, pytest.mark.timeout(240)]

COUNT = 30


@pytest.fixture
def parcels(artemis: ArtemisBroker, tmp_path: Path) -> Iterator[Parcels]:
    broker = artemis.start()
    made = Parcels(f"amqp://127.0.0.1:{broker.amqp_port}/", tmp_path, user=broker.user, password=broker.password)
    yield made
    made.assert_discreet()


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        ([], {}),
        (["--preload"], {"FLASK_TEST_SEND_AT_ONCE": "1"}),
        (["-k", "gthread", "--threads", "4"], {}),
    ],
    ids=["prefork", "preload", "threads"],
)
def test_gunicorn_sends_and_another_process_listens(
    parcels: Parcels, artemis_management: ArtemisManagement, arguments: list[str], environment: dict[str, str]
) -> None:
    """What forked workers send is handled once by ``flask events listen``, also if the master had sent before."""
    sent = 20
    with parcels.gunicorn(*arguments, **environment) as web, parcels.listener() as listener:
        wait_until(parcels.serves, lambda: web.text)
        workers: Counter[str] = Counter()
        for id in range(1, sent + 1):
            workers[parcels.post(id)] += 1
        assert str(web.pid) not in workers
        assert parcels.request("GET", "/health/ready")[0] == 200
        expected = Counter(range(0 if environment else 1, sent + 1))
        wait_until(lambda: set(parcels.handled()) == set(expected), lambda: f"{parcels.handled()} {listener.text}")
        listener.signal(signal.SIGTERM)
        assert listener.ended(60) == 0
        web.signal(signal.SIGTERM)
        assert web.ended(60) == 0
        wait_until(web.group_is_gone, "the end of all workers")
    assert web.text.count("stopped: 0 finished") >= len(workers), "the end of a worker stops its manager"
    assert parcels.handled() == expected
    pids = {line.split()[2] for line in parcels.lines("begun")}
    assert pids == {str(listener.pid)}, "web processes do not listen"
    assert all(line.endswith("in parcels") for line in parcels.lines("ended"))
    assert f"{len(expected)} handled" in listener.text.splitlines()[-1]
    state = artemis_management.queue(parcels.queue)
    assert state is not None
    assert (state.message_count, state.consumer_count) == (0, 0)


def test_a_listener_drains_on_sigterm(parcels: Parcels, artemis_management: ArtemisManagement) -> None:
    """SIGTERM lets running events finish, gives back what waits, and ends with 0; the next listener goes on."""
    with parcels.listener() as listener:
        artemis_management.wait_for(
            parcels.queue, lambda queue: queue is not None and queue.consumer_count == 1, timeout=60
        )
        parcels.send_slow(COUNT, 1.0)
        wait_until(lambda: parcels.lines("begun"), lambda: listener.text)
        listener.signal(signal.SIGTERM)
        assert listener.ended(60) == 0, listener.text
    assert len(parcels.lines("begun")) == len(parcels.lines("ended"))
    with parcels.listener() as heir:
        wait_until(lambda: len(parcels.handled()) == COUNT, lambda: heir.text)
        heir.signal(signal.SIGINT)
        assert heir.ended(60) == 0, heir.text
    assert parcels.handled() == Counter(range(COUNT))


def test_the_reloader_connects_in_one_process(parcels: Parcels, artemis_management: ArtemisManagement) -> None:
    """Under ``flask run --debug`` the serving process alone connects, and so does the next one after a change."""
    app = parcels.folder / "reloaded.py"
    app.write_text(f"from {SERVICE} import create_app\n")
    arguments = ["--app", str(app), "run", "--debug", "--port", str(parcels.port)]
    with parcels.program("flask.log", "flask", *arguments, FLASK_TEST_LISTEN="1") as web:
        wait_until(parcels.serves, lambda: web.text)
        first = parcels.post(1)
        assert first != str(web.pid)
        wait_until(lambda: parcels.handled()[1], lambda: web.text)
        state = artemis_management.queue(parcels.queue)
        assert state is not None
        assert state.consumer_count == 1
        app.write_text(f"from {SERVICE} import create_app  # changed\n")
        web.wait_for("Detected change")
        wait_until(lambda: parcels.serves() and parcels.post(2) != first, lambda: web.text)
        wait_until(lambda: parcels.handled()[2], lambda: web.text)
        artemis_management.wait_for(
            parcels.queue, lambda queue: queue is not None and queue.consumer_count == 1, timeout=60
        )
        os.killpg(web.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
        web.ended(60)
        wait_until(web.group_is_gone, "the end of both processes")
