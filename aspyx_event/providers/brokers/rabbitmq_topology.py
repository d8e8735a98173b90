"""What RabbitMQ has to hold, in the words of its definitions: exchanges, queues and bindings."""

from __future__ import annotations

from typing import Any

from aspyx_event.events import EventDescriptor
from aspyx_event.provider import Target
from aspyx_event.providers.brokers import rabbitmq as rules
from aspyx_event.providers.naming import Naming
from aspyx_event.topology import BINDING, DEAD_LETTERS, EXCHANGE, QUEUE, Resource


class RabbitMQTopology:
    """What one provider needs on its RabbitMQ.

    exchanges: whether events have exchanges of their own. AMQP needs them; over STOMP, which cannot declare any,
    queues are bound to ``amq.topic``, which every broker has.
    """

    def __init__(self, naming: Naming, error_queue: str, *, exchanges: bool) -> None:
        self._naming = naming
        self._error_queue = error_queue
        self._exchanges = exchanges

    def resources(self, target: Target) -> list[Resource]:
        """What a target needs, in the order in which it can be created."""
        if isinstance(target, str):
            return [queue_resource(rules.plain_queue(target), DEAD_LETTERS)]
        if isinstance(target, EventDescriptor):
            return self._event_resources(target.name, target.name)
        event, user = target.event.name, target.name
        queue = self.queue(target)
        binding = (
            rules.queue_binding(event, queue.name)
            if self._exchanges
            else rules.Binding(rules.TOPIC_EXCHANGE, queue.name, event)
        )
        return [*self._event_resources(event, user), queue_resource(queue, user), binding_resource(binding, user)]

    def queue(self, target: Target) -> rules.Queue:
        """The queue of a listener, or a plain one."""
        if isinstance(target, (str, EventDescriptor)):
            return rules.plain_queue(str(target))
        return rules.listener_queue(self._naming.queue_name(target), target, error_queue=self._error_queue)

    def _event_resources(self, event: str, user: str) -> list[Resource]:
        if not self._exchanges:
            return []
        exchange = Resource(EXCHANGE, event, {"type": "fanout", "durable": True}, (user,))
        return [exchange, *(binding_resource(binding, user) for binding in rules.exchange_bindings(event))]


def queue_resource(queue: rules.Queue, user: str) -> Resource:
    """A queue with its arguments."""
    properties: dict[str, Any] = {"durable": True, "auto_delete": False, **dict(queue.arguments)}
    return Resource(QUEUE, queue.name, properties, (user,))


def binding_resource(binding: rules.Binding, user: str) -> Resource:
    """A binding, named after its ends."""
    properties = {
        "source": binding.source,
        "destination": binding.destination,
        "destination_type": "exchange" if binding.to_exchange else "queue",
        "routing_key": binding.key,
    }
    return Resource(BINDING, f"{binding.source} -> {binding.destination}", properties, (user,))
