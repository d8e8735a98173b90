from __future__ import annotations

from dataclasses import dataclass

from flask import Flask

from aspyx_event import event, event_listener
from aspyx_event.integrations.flask import AspyxEvent

app = Flask(__name__)
events = AspyxEvent(app, scan=__name__)


@event(durable=True)
@dataclass
class OrderPlaced:
    customer: str
    euros: float


@event_listener(OrderPlaced)
def bill(event: OrderPlaced) -> None:
    print(f"{event.customer} owes {event.euros:.2f} euros", flush=True)


@app.post("/orders/<customer>")
def place(customer: str) -> str:
    events.send_event(OrderPlaced(customer, 9.5))
    return f"Thank you, {customer}.\n"
