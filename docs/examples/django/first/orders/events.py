# orders/events.py
from dataclasses import dataclass

from aspyx_event import event


@event(durable=True)
@dataclass
class OrderPlaced:
    customer: str
    euros: float
