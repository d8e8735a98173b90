"""ActiveMQ Classic: a virtual topic for each event, a queue that it fills for each listener.

The listener's part of the queue's name must be one segment, so a dot in it (after a prefix, for example) is written as
``~``, which no name holds.
"""

from __future__ import annotations

from aspyx_event.events import EventDescriptor
from aspyx_event.provider import Target
from aspyx_event.providers.naming import Naming, split_queue_name
from aspyx_event.topology import DEAD_LETTERS, QUEUE, TOPIC, Resource


def topic_of(event: str) -> str:
    """What Classic calls an event's topic."""
    return f"VirtualTopic.{event}"


def queue_of(queue: str) -> str:
    """What Classic calls a queue (canonical name)."""
    event, name = split_queue_name(queue)
    return f"Consumer.{segment(name)}.{topic_of(event)}" if event else queue


def segment(name: str) -> str:
    """A name without dots, another one for each name."""
    return name.replace(".", "~")


def resources(target: Target, naming: Naming) -> list[Resource]:
    """What a target needs. Classic gives queues neither durability nor a lifetime: messages are persistent, or not."""
    if isinstance(target, str):
        return [Resource(QUEUE, queue_of(target), {}, (DEAD_LETTERS,))]
    if isinstance(target, EventDescriptor):
        return [Resource(TOPIC, topic_of(target.name), {}, (target.name,))]
    return [
        Resource(TOPIC, topic_of(target.event.name), {}, (target.name,)),
        Resource(QUEUE, queue_of(naming.queue_name(target)), {}, (target.name,)),
    ]
