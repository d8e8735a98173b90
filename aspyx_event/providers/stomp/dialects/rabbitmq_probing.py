"""What RabbitMQ can be asked over STOMP: questions in the form of SUBSCRIBEs that fail before they consume.

A SUBSCRIBE under an id that is taken declares its queue, then fails. As an exclusive one, it tells whether there is one
of this name already: RESOURCE_LOCKED. If not, it goes with the connection.
"""

from __future__ import annotations

import threading
from typing import Callable, TypeVar

from aspyx_event.exceptions import ProviderError
from aspyx_event.providers.brokers import rabbitmq as rules
from aspyx_event.providers.stomp.errors import ErrorFrame, LinkLost, refusal_of
from aspyx_event.providers.stomp.session import Session, Sessions
from aspyx_event.timing import Deadline

T = TypeVar("T")

PROBE = "/topic/aspyx_event.probe"

_LOCKED = "RESOURCE_LOCKED"
_TRIES, _PAUSE = 10, 0.1

_FULL_AFTER = 4
"""A quorum queue takes a little more than its x-max-length before it refuses."""


class OtherArguments(ProviderError):
    """A queue of this name is there, with other arguments. ``refusal`` is what the broker says."""

    def __init__(self, refusal: str) -> None:
        super().__init__(f"it is there with other arguments ({refusal})")
        self.refusal = refusal


def queue_exists(sessions: Sessions, name: str, deadline: Deadline) -> bool:
    """Whether there is a queue of this name, durable or not. Raises ErrorFrame when the user may not ask."""
    exclusive = {"x-queue-name": name, "durable": "false", "auto-delete": "true", "exclusive": "true"}
    with sessions.session(deadline) as session:
        session.subscribe(PROBE, {})
        refusal = _refused(session, PROBE, exclusive)
    if "already exists" in refusal:  # the id, not the queue
        return False
    if _LOCKED not in refusal and "PRECONDITION_FAILED" not in refusal:
        raise ErrorFrame(refusal)
    return True


def declare_queue(sessions: Sessions, queue: rules.Queue, deadline: Deadline, destination: str = PROBE) -> None:
    """Declare a queue, without binding it, or make sure that it has these arguments. Raises OtherArguments."""
    with sessions.session(deadline) as session:
        session.subscribe(PROBE, {})
        # Not as /queue/: that would be declared without waiting for an answer.
        refusal = _refused(session, destination, declaring(queue))
    if "already exists" in refusal:
        return
    if "inequivalent arg" in refusal:
        raise OtherArguments(refusal)
    raise ErrorFrame(refusal)


def exchange_exists(sessions: Sessions, name: str, deadline: Deadline) -> bool:
    """Whether there is an exchange of this name."""
    with sessions.session(deadline) as session:
        try:
            session.subscribe(f"/exchange/{name}", {})  # a queue that goes with this connection
        except ProviderError as error:
            if "NOT_FOUND" in (refusal_of(error) or ""):
                return False
            raise
    return True


def policy_holds(sessions: Sessions, deadline: Deadline) -> bool:
    """Whether the operator has set rules.POLICY, by what a full queue does.

    With it the queue refuses, and the broker ends the connection of a STOMP client whose message it does not confirm;
    without it the oldest message makes room.
    """
    probe = {
        "destination": f"/queue/{rules.PROBE}",
        "durable": "true",
        "auto-delete": "false",
        "exclusive": "false",
        "x-queue-type": "quorum",
        "x-max-length": "1",
        "x-expires": "60000",
        "persistent": "true",
    }
    with sessions.session(deadline) as session:
        for _ in range(_FULL_AFTER):
            try:
                session.ask("SEND", probe)
            except LinkLost as lost:
                if lost.refusal is not None:
                    raise ErrorFrame(lost.refusal) from lost
                return True
    return False


def declaring(queue: rules.Queue) -> dict[str, str]:
    """The headers of a SUBSCRIBE that declares a queue."""
    arguments = {key: str(value) for key, value in queue.arguments}
    return {"x-queue-name": queue.name, "durable": "true", "auto-delete": "false", "exclusive": "false", **arguments}


def insisting(ask: Callable[[], T]) -> T:
    """Another process that looks whether the queue exists holds it for a moment."""
    pause = threading.Event()
    for _ in range(_TRIES):
        try:
            return ask()
        except ProviderError as error:
            if _LOCKED not in (refusal_of(error) or ""):
                raise
            pause.wait(_PAUSE)
    return ask()


def _refused(session: Session, destination: str, headers: dict[str, str]) -> str:
    """What the broker says to a SUBSCRIBE under the id that the session has used. It ends the session."""
    try:
        session.subscribe(destination, headers)
    except ProviderError as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        return refusal
    raise ProviderError(f"the broker took a second subscription of the same id, to {destination}")
