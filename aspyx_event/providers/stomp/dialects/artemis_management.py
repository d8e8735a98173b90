"""Artemis' management address over STOMP."""

from __future__ import annotations

import uuid
from typing import Callable, TypeVar

from aspyx_event.exceptions import ProviderError, ProviderUnavailable
from aspyx_event.providers.brokers import artemis_management
from aspyx_event.providers.brokers.artemis import STOMP_REPLIES
from aspyx_event.providers.stomp.errors import ErrorFrame, LinkLost, refusal_of
from aspyx_event.providers.stomp.session import Session, Sessions
from aspyx_event.timing import Deadline

_PATIENCE = 5.0
_TRIES = 3

T = TypeVar("T")


class NoAnswer(ProviderUnavailable):
    """The broker took a request, and no reply came."""


class ManagementRefused(ProviderError):
    """This user may not use the management at all. The connection has ended."""


class Management(artemis_management.Management):
    """Operations over one session. Raises ManagementRefused when this user may not manage at all."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._id = uuid.uuid4().hex
        headers = {"subscription-type": "MULTICAST", "selector": f"JMSCorrelationID = '{self._id}'"}
        try:
            session.subscribe(STOMP_REPLIES, headers, ack="auto")
        except (ErrorFrame, LinkLost) as error:
            raise ManagementRefused(f"no replies from the broker's management: {error}") from error

    def exchange(self, resource: str, operation: str, parameters: str) -> tuple[bool, str]:
        """See the base class."""
        headers = {
            "destination": artemis_management.ADDRESS,
            "_AMQ_ResourceName": resource,
            "_AMQ_OperationName": operation,
            "reply-to": STOMP_REPLIES,
            "correlation-id": self._id,
        }
        # Without content-length: with it the broker sees binary, complains, and drops the connection.
        try:
            self._session.ask("SEND", headers, parameters.encode(), what="management")
        except (ErrorFrame, LinkLost) as error:
            if refusal_of(error) is None:
                raise
            raise ManagementRefused(f"the broker's management refused {operation}: {error}") from error
        reply = self._session.next(_PATIENCE)
        if reply is None:
            raise NoAnswer(f"{self._session.link.where}: management: no answer to {operation} in time")
        return reply[0].get("_AMQ_OperationSucceeded") == "true", reply[1].decode("utf-8", "replace") or "[]"


def managed(sessions: Sessions, deadline: Deadline, work: Callable[[Management], T]) -> T:
    """Do some work with the management, in a session of its own; once more in a new one when a reply got lost.

    The address of the replies may just be going with the last one who listened there. All operations may be repeated.
    """
    for _ in range(_TRIES - 1):
        try:
            return _once(sessions, deadline, work)
        except NoAnswer:
            if deadline.passed:
                raise
    return _once(sessions, deadline, work)


def _once(sessions: Sessions, deadline: Deadline, work: Callable[[Management], T]) -> T:
    with sessions.session(deadline) as session:
        return work(Management(session))
