"""What users write: no complaint under mypy --strict and pyright."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from aspyx_event import (
    AMQPProvider,
    Envelope,
    EnvelopePipeline,
    EventDescriptor,
    EventListener,
    EventListenerDescriptor,
    EventManager,
    EventRegistry,
    ExceptionManager,
    LocalProvider,
    RetryPolicy,
    StopResult,
    catch,
    current_envelope,
    envelope_pipeline,
    event,
    event_listener,
)


@event(durable=True)
@dataclass
class OrderPlaced:
    id: int
    note: str = ""


@dataclass
@event(name="order.shipped")
class OrderShipped:
    id: int


@event()
class UserCreated(BaseModel):
    name: str


@event_listener(OrderPlaced, concurrency=4, retry=RetryPolicy(immediate=0))
class Billing(EventListener[OrderPlaced]):
    def on(self, event: OrderPlaced) -> None:
        envelope = current_envelope()
        if envelope is not None:
            tenant: str | None = envelope.get("tenant")
            assert tenant != str(event.id)


@event_listener(UserCreated)
class Welcome(EventListener[UserCreated]):
    async def on(self, event: UserCreated) -> None:
        assert event.name


@event_listener(OrderShipped, name="tracking", per_process=True)
def track(event: OrderShipped) -> None:
    assert event.id


@envelope_pipeline(order=1)
class Tenant(EnvelopePipeline):
    def send(self, envelope: Envelope, event_descriptor: EventDescriptor) -> None:
        envelope.set("tenant", "acme")
        self.proceed_send(envelope, event_descriptor)

    def handle(self, envelope: Envelope, event_listener_descriptor: EventListenerDescriptor) -> None:
        self.proceed_handle(envelope, event_listener_descriptor)


class Handlers:
    @catch()
    def any_value(self, error: ValueError) -> Exception | None:
        ExceptionManager.proceed()
        return None


async def later(manager: EventManager) -> None:
    await manager.send_event_async(UserCreated(name="x"), key="k", delay=1, ttl=2.5)


def main() -> None:
    exceptions = ExceptionManager()
    exceptions.collect_handlers(Handlers())
    registry = EventRegistry().register(Billing, Welcome, track, Tenant)
    with EventManager(LocalProvider(), exceptions, registry=registry) as manager:
        order = OrderPlaced(1)
        manager.send_event(order, headers={"tenant": "acme"}, timeout=5)
        manager.send_events(OrderPlaced(number) for number in range(3))
        result: StopResult = manager.stop(timeout=1)
        assert not result.abandoned
    other = EventManager(AMQPProvider("server", "localhost", 61616, "user", "password"))
    assert other.health().listeners == {}
