"""What happens in the shop."""

from dataclasses import dataclass

from aspyx_event import event


@event(durable=True)
@dataclass
class OrderPlaced:
    id: int
    customer: str
    amount: int
