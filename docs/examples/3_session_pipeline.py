"""A pipeline that carries the user's session from the sender to the listener."""

import threading
from contextvars import ContextVar
from dataclasses import dataclass

from aspyx_event import (
    Envelope,
    EnvelopePipeline,
    EventDescriptor,
    EventListener,
    EventListenerDescriptor,
    EventManager,
    EventRegistry,
    envelope_pipeline,
    event,
    event_listener,
)

current_user: ContextVar[str] = ContextVar("current_user", default="nobody")
handled = threading.Event()


@event()
@dataclass
class DocumentSaved:
    title: str


@envelope_pipeline()
class Session(EnvelopePipeline):
    def send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> None:
        envelope.set("user", current_user.get())
        self.proceed_send(envelope, event_descriptor)

    def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> None:
        current_user.set(envelope.get("user") or "nobody")  # this delivery's context only
        self.proceed_handle(envelope, event_listener_descriptor)


@event_listener(DocumentSaved)
class Audit(EventListener[DocumentSaved]):
    async def on(self, event: DocumentSaved) -> None:
        print(f"{current_user.get()} saved {event.title!r}")
        handled.set()


with EventManager("local://", registry=EventRegistry().register(Session, Audit)) as manager:
    current_user.set("ada")
    manager.send_event(DocumentSaved("Notes on the Analytical Engine"))
    handled.wait(10)
