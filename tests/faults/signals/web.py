"""A web application under gunicorn whose workers send, and listen: POST sends an event, GET /hang never answers."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aspyx_event import EventError, EventManager, EventRegistry
from tests.faults.ledger import CONFIRMED, REFUSED, SENT, Ledger
from tests.faults.signals.event import event_of, listener_of

PREFIX = os.environ["PING_PREFIX"]
Ping = event_of(PREFIX)
_ledger: list[Ledger] = []
registry = EventRegistry()
manager = EventManager(os.environ["PING_URL"], registry=registry, workers=4)


def after_fork() -> None:
    """Each worker has a ledger, a listener and a connection of its own."""
    logging.basicConfig(level=logging.INFO)
    _ledger.append(Ledger(Path(os.environ["PING_LEDGER"])))
    registry.register(listener_of(Ping, PREFIX, _ledger[0], seconds=0.05))
    manager.start()


def app(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> Iterable[bytes]:
    """The WSGI application; the path is the id of the event."""
    id = environ["PATH_INFO"].strip("/")
    if id == "hang":
        threading.Event().wait()
    book = _ledger[0]
    book.enter(SENT, id)
    try:
        manager.send_event(Ping(), id=id)
    except EventError as error:
        book.enter(REFUSED, id, note=type(error).__name__)
        start_response("503 Service Unavailable", [])
        return [b""]
    book.enter(CONFIRMED, id)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
