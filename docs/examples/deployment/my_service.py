"""A service that handles events: ``python -m my_service``.

ASPYX_EVENT_URL is the broker's URL. An HTTP GET on HEALTH_PORT (8080) answers 200 when the service is ready, else 503.
"""

import logging
import os
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aspyx_event import EventManager, EventRegistry, event, event_listener

log = logging.getLogger("my_service")


@event(durable=True)
@dataclass
class OrderPlaced:
    id: int


@event_listener(OrderPlaced, name="Billing")
def bill(order: OrderPlaced) -> None:
    log.info("billing order %d", order.id)


registry = EventRegistry().register(bill)  # or .scan("my_package")
manager = EventManager(os.environ["ASPYX_EVENT_URL"], registry=registry)


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        health = manager.health()
        self.send_response(200 if health.ready else 503)
        self.end_headers()
        self.wfile.write(f"{health.status}\n".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds: no lines for them."""


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with ThreadingHTTPServer(("", int(os.environ.get("HEALTH_PORT", "8080"))), Ready) as probes:
        threading.Thread(target=probes.serve_forever, daemon=True).start()
        code = manager.run()
        probes.shutdown()
    return code


if __name__ == "__main__":
    sys.exit(main())
