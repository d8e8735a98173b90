"""The books against what the queues, the logs and the clock say."""

from __future__ import annotations

from tests.faults.ledger import DEAD, REFUSED, Ledger
from tests.faults.storm.draining import LOOK_AGAIN, Scene, wait_until_empty
from tests.faults.storm.events import PAYLOAD, Order, name_of
from tests.faults.storm.program import TIMEOUTS
from tests.faults.storm.report import Incident
from tests.faults.storm.schedule import PRODUCER
from tests.integrations.depths import depths

_EMPTY = 60.0
_ANSWERED = 15.0
_NOTICED = 10.0
"""Seconds until a connection is known to be lost, and a busy machine."""


def check_outage(scene: Scene, ledger: Ledger, incident: Incident) -> None:
    """In an outage the impatient senders are told that there is no connection, and the patient one waits."""
    seconds = incident.fault.seconds

    def wrong() -> set[str]:
        answers = ledger.answers(scene.children[PRODUCER].pid, incident.at - 1, incident.at + incident.lasted)
        told = [took for what, note, took in answers if (what, note) == (REFUSED, "ProviderUnavailable")]
        found = set()
        if min(told, default=seconds) > TIMEOUTS[0] + _NOTICED:
            found.add(f"in an outage of {seconds:.0f} s no sender was told of it soon: {answers}")
        if max((took for _, _, took in answers), default=0) < seconds - _NOTICED:
            found.add(f"in an outage of {seconds:.0f} s no sender waited as long as it said: {answers}")
        return found

    for trouble in wait_until_empty(scene, wrong, seconds=_ANSWERED, pause=0.5):
        scene.trouble(trouble)


def check_queues(scene: Scene, ledger: Ledger) -> None:
    """The broker itself says that nothing is left but the dead letters."""
    error_queue = f"{scene.pair.prefix}.error"
    found: dict[str, int] = {}

    def left() -> set[str]:
        found.clear()
        found.update(
            depths(
                scene.pair.broker,
                name_of(Order, scene.pair.prefix),
                f"warehouse-{scene.pair.prefix}",
                scene.pair.prefix,
            )
        )
        return found.keys() - {error_queue}

    try:
        remaining = wait_until_empty(scene, left, seconds=_EMPTY, pause=LOOK_AGAIN)
    except OSError as error:
        scene.trouble(f"the broker does not say what its queues hold: {error!r}")
        return
    if remaining:
        scene.trouble(f"the queues are not empty at the end: {found}")
    if found.get(error_queue, 0) != sum(ledger.ids(DEAD).values()):
        scene.trouble(f"the error queue holds {found}, and {sum(ledger.ids(DEAD).values())} dead letters were read")


def check_logs(scene: Scene) -> None:
    """No process wrote a password, a payload, or a stack."""
    password = scene.pair.broker.password
    for child in scene.children.values():
        for line in child.log_lines():
            for what, text in (("the password", password), ("a payload", PAYLOAD), ("a stack", "Traceback (most")):
                if text in line:
                    scene.trouble(f"{child.log} has {what}: {line.strip().replace(password, '***')[:300]}")
