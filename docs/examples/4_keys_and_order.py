"""Events with one key are handled one after the other; different keys run side by side."""

import threading
from collections import defaultdict
from dataclasses import dataclass

from aspyx_event import EventManager, EventRegistry, event, event_listener

seen: dict[str, list[int]] = defaultdict(list)
counted = threading.Semaphore(0)


@event()
@dataclass
class BalanceChanged:
    account: str
    step: int


@event_listener(BalanceChanged, concurrency=8)
def book(event: BalanceChanged) -> None:
    seen[event.account].append(event.step)
    counted.release()


with EventManager("local://", registry=EventRegistry().register(book), workers=8) as manager:
    for step in range(5):
        for account in ("a", "b", "c"):
            manager.send_event(BalanceChanged(account, step), key=account)
    for _ in range(15):
        counted.acquire(timeout=10)

for account in sorted(seen):
    print(account, seen[account])
