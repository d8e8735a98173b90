"""One task of Celery, with its defaults but for what a mode says."""

from __future__ import annotations

import os

from celery import Celery

from tests.benchmarks.peers.options import CONFIRM, LATE, URL, Done, is_set

app = Celery("bench", broker=os.environ[URL] + "/")
app.conf.task_acks_late = is_set(LATE)
if is_set(CONFIRM):
    app.conf.broker_transport_options = {"confirm_publish": True}
_done = Done()


def _handle(n: int, t: str) -> None:
    _done()


send = app.task(_handle, name="bench.handle").delay
