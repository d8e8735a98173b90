"""The application of the tests with processes: a web process sends, ``flask events listen`` handles."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, current_app

from aspyx_event import EventListener, event, event_listener
from aspyx_event.integrations.flask import AspyxEvent, health_blueprint

NAME = os.environ.get("FLASK_TEST_EVENT", "Parcel")
events = AspyxEvent()


@event(NAME, durable=True)
@dataclass
class Parcel:
    id: int
    seconds: float = 0.0


@event_listener(Parcel, name=f"post-{NAME}")
class Post(EventListener[Parcel]):
    """Writes a line when it begins, and one when it ends."""

    def on(self, event: Parcel) -> None:
        note(f"begun {event.id} {os.getpid()}")
        threading.Event().wait(event.seconds)
        note(f"ended {event.id} in {current_app.name}")


def note(line: str) -> None:
    """Append a line to the ledger; one write, so that processes do not mix theirs."""
    with open(current_app.config["LEDGER"], "ab", buffering=0) as ledger:
        ledger.write(f"{line}\n".encode())


def create_app() -> Flask:
    """The factory. The environment says which broker, and what the processes are to do."""
    logging.basicConfig(level=logging.INFO)
    app = Flask("parcels")
    app.config["LEDGER"] = Path(os.environ["FLASK_TEST_LEDGER"])
    app.config["ASPYX_EVENT"] = {"REGISTER": [Post], "LISTEN": os.environ.get("FLASK_TEST_LISTEN") == "1"}
    events.init_app(app)
    app.register_blueprint(health_blueprint())

    @app.post("/parcels/<int:id>")
    def send(id: int) -> str:
        events.send_event(Parcel(id))
        return str(os.getpid())

    if os.environ.get("FLASK_TEST_SEND_AT_ONCE") == "1":
        with app.app_context():
            events.send_event(Parcel(0))
    return app
