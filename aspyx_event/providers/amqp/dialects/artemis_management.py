"""Artemis' management address over AMQP 1.0."""

from __future__ import annotations

from aspyx_event.providers.amqp import sections as s
from aspyx_event.providers.amqp.channel import Channel
from aspyx_event.providers.amqp.nodes import Node
from aspyx_event.providers.brokers import artemis_management
from aspyx_event.timing import Deadline

_ADDRESS = Node(artemis_management.ADDRESS)
_REPLY = Node(None, dynamic=True)


class Management(artemis_management.Management):
    """Operations under one deadline. Raises RequestRefused when this user may not manage at all."""

    def __init__(self, channel: Channel, deadline: Deadline) -> None:
        self._channel = channel
        self._deadline = deadline

    def exchange(self, resource: str, operation: str, parameters: str) -> tuple[bool, str]:
        """See the base class."""
        headers = {"_AMQ_ResourceName": resource, "_AMQ_OperationName": operation}
        body = s.string_value_section(parameters)

        def make(request_id: str, reply_to: str) -> bytes:
            return s.join(s.Outgoing(message_id=request_id, reply_to=reply_to, headers=headers), body)

        reply = self._channel.request(_ADDRESS, _REPLY, make, self._deadline)
        values = s.body_values(reply.body)
        text = values[0] if values and isinstance(values[0], str) else "[]"
        return dict(reply.application_properties).get("_AMQ_OperationSucceeded") is True, text
