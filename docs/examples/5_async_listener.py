"""Async listeners share one event loop; they send with send_event_async."""

import asyncio
import threading
from dataclasses import dataclass

from aspyx_event import EventManager, EventRegistry, current_envelope, event, event_listener

handled = threading.Event()


@event()
@dataclass
class PageRequested:
    url: str


@event()
@dataclass
class PageFetched:
    url: str
    size: int


@event_listener(PageRequested)
async def fetch(event: PageRequested) -> None:
    await asyncio.sleep(0.01)  # a request to somewhere
    await manager.send_event_async(PageFetched(event.url, 42))


@event_listener(PageFetched)
def store(event: PageFetched) -> None:
    envelope = current_envelope()
    cause = envelope.get("cloudEvents_causationid") if envelope else None
    print(f"{event.url}: {event.size} bytes, caused by {cause}")
    handled.set()


manager = EventManager("local://", registry=EventRegistry().register(fetch, store))
with manager:
    manager.send_event(PageRequested("/index"), id="request-1")
    handled.wait(10)
