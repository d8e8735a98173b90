"""A web application that sends: ``gunicorn -c gunicorn.conf.py web:app``."""

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aspyx_event import EventManager, EventRegistry, ProviderError, event


@event(durable=True)
@dataclass
class OrderPlaced:
    id: int


manager = EventManager(os.environ["ASPYX_EVENT_URL"], registry=EventRegistry().register(OrderPlaced))
_one_at_a_time = threading.Lock()


def send(event: object) -> None:
    """Send an event; the first one in each process connects."""
    with _one_at_a_time:
        manager.start(timeout=3, listen=False)  # a manager that runs stays as it is
    manager.send_event(event, timeout=3)


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Place an order."""
    try:
        send(OrderPlaced(1))
    except ProviderError:
        start_response("503 Service Unavailable", [("Content-Type", "text/plain"), ("Retry-After", "10")])
        return [b"try again later\n"]
    start_response("202 Accepted", [("Content-Type", "text/plain")])
    return [b"placed\n"]
