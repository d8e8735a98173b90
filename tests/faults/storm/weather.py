"""How each fault is done. Every one is over when its function returns: the processes may recover from then on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Callable, Protocol

from aspyx_event.timing import Deadline
from tests.brokers import Broker
from tests.faults.storm import schedule as kinds
from tests.faults.storm.children import Child
from tests.faults.storm.schedule import Fault

_NOTICED = 45.0
"""Seconds until a silent or broken link must be given up: two and a half heartbeats of 10 s, and a busy machine."""
_WRITTEN = 15.0
_INTO_THE_OUTAGE = 8.0
_QUEUED = 3.0
"""Seconds for which the broker is back and the durable listeners are not."""


class Scene(Protocol):
    """What a fault works on."""

    broker: Broker
    never: threading.Event

    @property
    def children(self) -> Mapping[str, Child]:
        """By name."""

    def trouble(self, text: str) -> None:
        """Something is not as promised."""


def strike(scene: Scene, fault: Fault) -> None:
    """Do it, and see it through to its end."""
    _FAULTS[fault.kind](scene, fault)


def _kill_broker(scene: Scene, _fault: Fault) -> None:
    scene.broker.restart(kill=True)


def _restart_broker(scene: Scene, _fault: Fault) -> None:
    scene.broker.restart()


def _outage(scene: Scene, fault: Fault) -> None:
    """The producer goes on sending; one consumer stops before the outage and one in it, both start after it."""
    first, second = (scene.children[name] for name in kinds.CONSUMERS)
    _stop(scene, first)
    scene.broker.stop()
    end = Deadline(fault.seconds)
    scene.never.wait(_INTO_THE_OUTAGE)
    _stop(scene, second)
    scene.never.wait(end.left())
    scene.broker.start()
    scene.never.wait(_QUEUED)
    first.start()
    second.start()


def _stop(scene: Scene, child: Child) -> None:
    code = child.stop()
    if code != 0:
        scene.trouble(f"{child.name} ended with {code} on SIGTERM in an outage")


def _kill_consumer(scene: Scene, fault: Fault) -> None:
    child = scene.children[fault.target]
    child.kill()
    scene.never.wait(fault.seconds)
    child.start()


def _kill_producer(scene: Scene, fault: Fault) -> None:
    child = scene.children[fault.target]
    _wait_for_a_send(scene, child, fault)
    child.kill()
    child.proxy.heal()
    child.start()


def _cut(scene: Scene, fault: Fault) -> None:
    scene.children[fault.target].proxy.cut()


def _cut_before_confirm(scene: Scene, fault: Fault) -> None:
    child = scene.children[fault.target]
    _wait_for_a_send(scene, child, fault)
    child.proxy.cut()
    child.proxy.heal()


def _wait_for_a_send(scene: Scene, child: Child, fault: Fault) -> None:
    """Return when something was written whose confirmation does not come."""
    proxy = child.proxy
    proxy.stall("down")
    if not proxy.wait_for_bytes("up", proxy.bytes_forwarded("up") + fault.bytes, _WRITTEN):
        scene.trouble(f"{child.name} wrote less than {fault.bytes} bytes within {_WRITTEN:g} s")


def _stall(scene: Scene, fault: Fault) -> None:
    proxy = scene.children[fault.target].proxy
    before = proxy.connections
    proxy.stall()
    scene.never.wait(fault.seconds)
    if not proxy.wait_for_connections(before + 1, _NOTICED - fault.seconds):
        scene.trouble(f"{fault.target} did not notice within {_NOTICED:g} s that its peer is silent")
    proxy.heal()


def _truncate(scene: Scene, fault: Fault) -> None:
    proxy = scene.children[fault.target].proxy
    before = proxy.connections
    proxy.truncate("up" if fault.kind == kinds.TRUNCATED_UP else "down", fault.bytes)
    if not proxy.wait_for_connections(before + 1, _NOTICED):
        scene.trouble(f"{fault.target} did not connect again within {_NOTICED:g} s after a frame without an end")


def _delay(scene: Scene, fault: Fault) -> None:
    proxy = scene.children[fault.target].proxy
    proxy.delay(0.5)
    scene.never.wait(fault.seconds)
    proxy.heal()


_FAULTS: dict[str, Callable[[Scene, Fault], None]] = {
    kinds.BROKER_KILLED: _kill_broker,
    kinds.BROKER_RESTARTED: _restart_broker,
    kinds.OUTAGE: _outage,
    kinds.CONSUMER_KILLED: _kill_consumer,
    kinds.PRODUCER_KILLED: _kill_producer,
    kinds.CUT: _cut,
    kinds.CUT_BEFORE_CONFIRM: _cut_before_confirm,
    kinds.STALLED: _stall,
    kinds.TRUNCATED_UP: _truncate,
    kinds.TRUNCATED_DOWN: _truncate,
    kinds.DELAYED: _delay,
}
