"""Comparing RabbitMQ with what is needed, over STOMP."""

from __future__ import annotations

from aspyx_event.exceptions import ProviderError
from aspyx_event.provider import Target
from aspyx_event.providers.brokers import rabbitmq as rules
from aspyx_event.providers.brokers.rabbitmq_topology import RabbitMQTopology
from aspyx_event.providers.stomp.dialects import rabbitmq_probing as probing
from aspyx_event.providers.stomp.errors import refusal_of
from aspyx_event.providers.stomp.session import Sessions
from aspyx_event.timing import Deadline
from aspyx_event.topology import DIFFERS, MISSING, QUEUE, UNKNOWN, Difference, text_of

_NO_BINDINGS = "bindings cannot be asked for over STOMP: check over AMQP, or look with 'rabbitmqctl list_bindings'"
_REFUSED = "ACCESS_REFUSED"
_NO_RIGHT = (
    "over STOMP a user has to be allowed to read a queue to ask for it, and to configure it, and "
    "'stomp-subscription-.*', to ask for its arguments"
)


def differences(sessions: Sessions, topology: RabbitMQTopology, target: Target, deadline: Deadline) -> list[Difference]:
    """Where the broker is not as the topology says. Raises ProviderErrors."""
    found: list[Difference] = []
    absent = False
    for resource in topology.resources(target):
        if resource.kind == QUEUE:
            problem = _queue_problem(sessions, topology.queue(target), deadline)
            absent = problem is not None and problem[0] == MISSING
        else:
            problem = (MISSING, "create it with its queue") if absent else (UNKNOWN, _NO_BINDINGS)
        if problem is not None:
            found.append(Difference(resource, *problem))
    return found


def _queue_problem(sessions: Sessions, queue: rules.Queue, deadline: Deadline) -> tuple[str, str] | None:
    try:
        if not probing.insisting(lambda: probing.queue_exists(sessions, queue.name, deadline)):
            return (MISSING, "create it with these arguments: " + text_of(dict(queue.arguments)))
        # It exists, so this only compares.
        probing.insisting(lambda: probing.declare_queue(sessions, queue, deadline))
    except probing.OtherArguments as error:
        return (DIFFERS, f"{error}; it needs {text_of(dict(queue.arguments))}: delete it, and have it created anew")
    except ProviderError as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        # A refusal of a right names a queue of the moment, another one each time.
        return (UNKNOWN, _NO_RIGHT if _REFUSED in refusal else f"the broker did not answer the question: {refusal}")
    return None
