"""A web process that sends and one that listens, on a file: no broker, and also with the oldest Flask."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.waiting import wait_until
from tests.integrations.flask.parcels import Parcels


@pytest.mark.timeout(240)
def test_flask_run_sends_and_another_process_listens(tmp_path: Path) -> None:
    """What ``flask run`` sends to a file is handled by ``flask events listen``, also what came before it."""
    parcels = Parcels(f"sqlite:///{tmp_path / 'events.db'}", tmp_path)
    with parcels.web() as web:
        wait_until(parcels.serves, lambda: web.text)
        parcels.post(1)
        with parcels.listener() as listener:
            parcels.post(2)
            wait_until(lambda: len(parcels.handled()) == 2, lambda: listener.text)
            listener.signal(signal.SIGTERM)
            assert listener.ended(60) == 0, listener.text
        web.signal(signal.SIGINT)
        web.ended(60)
    assert parcels.handled() == Counter([1, 2])
    assert {line.split()[2] for line in parcels.lines("begun")} == {str(listener.pid)}
