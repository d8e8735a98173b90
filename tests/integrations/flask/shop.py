"""A small shop: an application factory, its events and its listeners, which note what they see."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import Any, Optional

from flask import Flask, current_app, g

from aspyx_event import EventListener, Reject, event, event_listener
from aspyx_event.integrations.flask import AspyxEvent, health_blueprint

events = AspyxEvent(scan=__name__)


@event()
@dataclass
class OrderPlaced:
    id: int
    customer: str = "Ada"


@event()
@dataclass
class OrderShipped:
    id: int


@event_listener(OrderPlaced)
class Billing(EventListener[OrderPlaced]):
    """Notes what it sees of the application, and sends on."""

    def on(self, event: OrderPlaced) -> None:
        if event.customer == "Mallory":
            raise Reject("no credit")
        g.order = event.id
        current_app.config["SEEN"].put(("billing", current_app.name, event.id))
        events.send_event(OrderShipped(event.id))


@event_listener(OrderShipped)
async def shipping(event: OrderShipped) -> None:
    """Does so on the loop of the async listeners."""
    g.shipped = event.id
    current_app.config["SEEN"].put(("shipping", current_app.name, event.id))


def create_app(name: str = "shop", **config: Any) -> Flask:
    """The factory. The configuration says which broker."""
    app = Flask(name)
    app.config["ASPYX_EVENT"] = {"URL": "local://"}
    app.config.update(config)
    app.config["SEEN"] = queue.Queue()
    events.init_app(app)
    app.register_blueprint(health_blueprint())

    @app.post("/orders/<int:id>")
    def place(id: int) -> str:
        events.send_event(OrderPlaced(id))
        return "placed"

    @app.post("/async/<int:id>")
    async def place_async(id: int) -> str:
        await events.send_event_async(OrderShipped(id))
        return "placed"

    @app.teardown_appcontext
    def note(error: Optional[BaseException]) -> None:
        for name in ("order", "shipped"):
            if name in g:
                app.config["SEEN"].put(("teardown", name, g.get(name), type(error).__name__))

    return app
