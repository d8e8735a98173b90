"""A shop to click through: orders are placed on a page, and billed by a listener.

``flask --app docs/examples/flask/shop run``, then http://127.0.0.1:5000/: no broker is needed, for the events are in a
file, and that process handles them as well. With ASPYX_EVENT_URL=amqp://... in the environment the page sends to a
broker, and ``flask --app docs/examples/flask/shop events listen`` handles what comes; start as many as you like.
"""

from __future__ import annotations

import os
from typing import Any, Optional

from flask import Flask, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from aspyx_event import EventError
from aspyx_event.integrations.flask import AspyxEvent, health_blueprint

from . import database

events = AspyxEvent(scan=f"{__name__}.orders")


def create_app(config: Optional[dict[str, Any]] = None) -> Flask:
    """The application factory."""
    app = Flask(__name__)
    folder = os.environ.get("SHOP_FOLDER", app.instance_path)
    broker = os.environ.get("ASPYX_EVENT_URL")
    app.config.from_mapping(
        DATABASE=os.path.join(folder, "shop.sqlite"),
        ASPYX_EVENT={"URL": broker or f"sqlite:///{folder}/events.sqlite", "LISTEN": broker is None, "SEND_TIMEOUT": 5},
    )
    app.config.from_mapping(config or {})
    events.init_app(app)
    database.init_app(app)
    app.register_blueprint(health_blueprint())
    app.add_url_rule("/", view_func=index)
    app.add_url_rule("/state", view_func=state)
    app.add_url_rule("/orders", view_func=place, methods=["POST"])
    app.add_url_rule("/bank", view_func=turn_sign, methods=["POST"])
    app.add_url_rule("/failed/<id>/replay", view_func=replay, methods=["POST"])
    app.register_error_handler(EventError, unavailable)
    return app


def index() -> str:
    """The page."""
    return render_template("index.html")


def state() -> str:
    """The part of the page that changes: it asks for it every second."""
    manager = events.start()
    return render_template(
        "state.html",
        orders=database.orders(),
        bank_is_open=database.bank_is_open(),
        failed=list(manager.dead_letters()),
    )


def place() -> Response:
    """Note an order, and tell everybody."""
    from .orders import OrderPlaced

    customer, euros = request.form["customer"], float(request.form["euros"])
    id = database.add_order(customer, euros)
    events.send_event(OrderPlaced(id, customer, euros))
    return redirect(url_for("index"))


def turn_sign() -> Response:
    """Open the bank, or close it."""
    database.open_bank(request.form["open"] == "yes")
    return redirect(url_for("index"))


def replay(id: str) -> Response:
    """Send a failed event back to the listener that failed."""
    events.start().replay(id)
    return redirect(url_for("index"))


def unavailable(error: EventError) -> tuple[str, int]:
    """The broker is away, or the event is gone: say so."""
    return render_template("error.html", error=error), 503
