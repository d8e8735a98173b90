"""Listeners and a pipeline."""

from __future__ import annotations

from aspyx_event import EnvelopePipeline, EventListener, envelope_pipeline, event_listener
from tests.unit.sample.shop import Placed


@event_listener(Placed)
class Billing(EventListener[Placed]):
    def on(self, event: Placed) -> None:
        pass


@event_listener(Placed)
def ship(event: Placed) -> None:
    pass


@envelope_pipeline()
class Tracing(EnvelopePipeline):
    pass


ready = Billing()
