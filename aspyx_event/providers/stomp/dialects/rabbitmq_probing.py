"""What RabbitMQ can be asked over STOMP: questions in the form of SUBSCRIBEs that fail before they consume.

A SUBSCRIBE under an id that is taken declares its queue, then fails. One with an argument that only streams understand
fails in one way where there is a queue, and in another where there is none.

Not by an exclusive queue of the same name, which also tells: when it goes, it takes along what another process has
declared in its place meanwhile (measured with 4.0.5: the broker deletes by name).
"""

from __future__ import annotations

import threading
from typing import Callable, TypeVar

from aspyx_event.exceptions import ProviderError
from aspyx_event.providers.brokers import rabbitmq as rules
from aspyx_event.providers.stomp.errors import ErrorFrame, LinkLost, broker_failed, refusal_of
from aspyx_event.providers.stomp.session import Session, Sessions
from aspyx_event.timing import Deadline

T = TypeVar("T")

PROBE = "/topic/aspyx_event.probe"

_TRIES, _PAUSE = 10, 0.1

_FULL_AFTER = 4
"""A quorum queue takes a little more than its x-max-length before it refuses."""


class OtherArguments(ProviderError):
    """A queue of this name is there, with other arguments. ``refusal`` is what the broker says."""

    def __init__(self, refusal: str) -> None:
        super().__init__(f"it is there with other arguments ({refusal})")
        self.refusal = refusal


def queue_exists(sessions: Sessions, name: str, deadline: Deadline) -> bool:
    """Whether there is a queue of this name, durable or not. Raises ErrorFrame when the user may not read it."""
    with sessions.session(deadline) as session:
        try:
            session.subscribe(f"/amq/queue/{name}", {"x-stream-offset": "next", "prefetch-count": "1"})
        except ProviderError as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            if "NOT_FOUND - no queue" in refusal:
                return False
            if "PRECONDITION_FAILED" not in refusal:
                raise ErrorFrame(refusal) from error
    return True  # a stream, which has handed out nothing, if nothing was refused


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
    """Another process may have declared the queue a moment ago, and it has no leader yet."""
    pause = threading.Event()
    for _ in range(_TRIES):
        try:
            return ask()
        except ProviderError as error:
            if not broker_failed(error):
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
