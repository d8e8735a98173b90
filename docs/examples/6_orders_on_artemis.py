"""Ten thousand orders between two processes on Artemis. ASPYX_EVENT_URL is the broker's URL.

Start ``python 6_orders_on_artemis.py listen`` in one terminal and ``... send`` in another; Ctrl-C ends the first.
"""

import os
import sys
from dataclasses import dataclass

from aspyx_event import EventListener, EventManager, EventRegistry, event, event_listener

COUNT = 10_000


@event(durable=True)
@dataclass
class OrderImported:
    id: int
    total: float


@event_listener(OrderImported)
class Warehouse(EventListener[OrderImported]):
    def on(self, event: OrderImported) -> None:
        assert event.total >= 0


def main(command: str) -> int:
    manager = EventManager(os.environ["ASPYX_EVENT_URL"], registry=EventRegistry().register(Warehouse))
    if command == "send":
        manager.start(listen=False)  # declares the queue, so nothing is lost if the listener comes later
        manager.send_events(OrderImported(number, number * 1.5) for number in range(COUNT))
        manager.stop()
        print(f"{COUNT} orders confirmed")
        return 0
    code = manager.run()
    print(manager.describe())
    print(f"handled: {manager.health().listeners['Warehouse'].handled}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
