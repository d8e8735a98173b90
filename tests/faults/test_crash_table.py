"""The crash table: a process dies by SIGKILL at each of its rows, and another one takes over."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from aspyx_event import EventManager, ProviderError, ProviderUnavailable, SendTimeout
from aspyx_event.delivery.attempt import CRASH_LIMIT
from aspyx_event.testing.crash import CrashPoint
from aspyx_event.testing.proxy import TcpProxy
from tests.faults.crash.cast import FAILED, Behaviour
from tests.faults.crash.scene import Scene
from tests.faults.ledger import CONFIRMED, DEAD
from tests.faults.pairs import Pair

logger = logging.getLogger(__name__)

KILLED = -signal.SIGKILL


@pytest.fixture
def scene(pair: Pair, tmp_path: Path) -> Iterator[Scene]:
    """An event of this test's own."""
    made = Scene(pair, tmp_path)
    yield made
    made.close()


@dataclass(frozen=True)
class Row:
    """How a victim gets to a point, and how often its event is then handled and in the error queue, in all."""

    point: CrashPoint
    handled: tuple[int, ...]
    dead: tuple[int, ...] = (0,)
    behaviour: Behaviour = "succeed"
    retries: bool = False


ROWS = [
    Row(CrashPoint.ARRIVED, handled=(1,)),
    Row(CrashPoint.HANDLED, handled=(2,)),
    Row(CrashPoint.ACCEPT_WRITTEN, handled=(1, 2)),
    Row(CrashPoint.RETRY_WRITTEN, handled=(1, 2), behaviour="fail", retries=True),
    Row(CrashPoint.RETRY_CONFIRMED, handled=(2,), behaviour="fail", retries=True),
    Row(CrashPoint.ERROR_WRITTEN, handled=(1,), dead=(0, 1), behaviour="fail"),
    Row(CrashPoint.ERROR_CONFIRMED, handled=(1,), dead=(1,), behaviour="fail"),
    Row(CrashPoint.RELEASED, handled=(1,), behaviour="hold"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.point.name.lower())
def test_a_listeners_process_is_killed(scene: Scene, row: Row) -> None:
    """Where a process dies decides how often its event is handled; no event is lost, and no other one comes twice."""
    first, *others = ids = scene.ids(4)
    with scene.manager(listen=False) as sender:
        scene.send(sender, *ids)
    part = replace(scene.part(), behaviour=row.behaviour, retries=row.retries)
    assert scene.victim(row.point, part) == KILLED, scene.log()
    with scene.manager(listen=True) as heir:
        scene.wait_handled(others)
        scene.wait_handled([first], times=min(row.handled))
        scene.drain(heir)
        account = scene.account(heir)
    logger.info("%s, %s: %s", scene.pair.name, row.point.value, account)
    assert not account.lost
    assert scene.handled(first) in row.handled
    assert scene.ledger.ids(DEAD)[first] in row.dead
    assert [scene.handled(id) for id in others] == [1] * len(others)
    assert account.dead_lettered in row.dead
    if row.behaviour == "fail":
        assert scene.ledger.ids(FAILED)[first] == 1


def test_both_copies_of_a_retry_have_one_id(scene: Scene) -> None:
    """A process that dies between the confirmed copy and the accept leaves attempts 1 and 2 of one event."""
    (id,) = scene.ids(1)
    with scene.manager(listen=False) as sender:
        scene.send(sender, id)
    part = replace(scene.part(), behaviour="fail", retries=True)
    assert scene.victim(CrashPoint.RETRY_CONFIRMED, part) == KILLED, scene.log()
    with scene.manager(listen=True):
        scene.wait_handled([id], times=2)
    notes = scene.ledger.notes("handled")
    assert notes == {"1": 1, "2": 1}


def test_a_sender_is_killed_before_the_confirmation(scene: Scene) -> None:
    """Nobody knows whether the event is there; sent again with its id it is one event, which came once or twice."""
    (id,) = scene.ids(1)
    with scene.manager(listen=True) as receiver:
        assert scene.victim(CrashPoint.SEND_WRITTEN, replace(scene.part(), send=id)) == KILLED, scene.log()
        assert id not in scene.ledger.ids(CONFIRMED)
        scene.send(receiver, id)
        scene.wait_handled([id])
        scene.drain(receiver)
        account = scene.account(receiver)
    logger.info("%s, %s: %s", scene.pair.name, CrashPoint.SEND_WRITTEN.value, account)
    assert not account.lost
    assert account.handled == 2  # this one, and the last
    assert scene.handled(id) in (1, 2)


def _written(scene: Scene, proxy: TcpProxy, sender: EventManager, id: str, timeout: float) -> Future[None]:
    """An event on its way that has left, while no confirmation comes back: what becomes of its ``send_event``."""
    proxy.stall_once("down", id.encode())
    outcome: Future[None] = Future()

    def send() -> None:
        try:
            scene.send(sender, id, timeout=timeout)
        except BaseException as error:  # noqa: BLE001 - it is what the caller asks for
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=send, daemon=True).start()
    assert proxy.wait_for_stall("down", 30)
    return outcome


def test_a_link_is_cut_before_the_confirmation(scene: Scene) -> None:
    """What was written and not confirmed is written again over the next connection, and confirmed, as one event."""
    (id,) = scene.ids(1)
    with scene.proxy() as proxy, scene.manager(listen=True) as receiver:
        with scene.manager(listen=False, port=proxy.port, server_name="cut") as sender:
            outcome = _written(scene, proxy, sender, id, timeout=60)
            proxy.cut()
            proxy.heal()
            outcome.result(90)
        scene.wait_handled([id])
        scene.drain(receiver)
        account = scene.account(receiver)
    assert not account.lost
    assert scene.handled(id) in (1, 2)


@pytest.mark.parametrize(("refused", "error"), [(True, ProviderUnavailable), (False, SendTimeout)], ids=["cut", "mute"])
def test_a_confirmation_does_not_come(scene: Scene, refused: bool, error: type[ProviderError]) -> None:
    """The sender gets an error with the id: ProviderUnavailable without a connection, SendTimeout over a mute one.

    Sent again with this id it is one event, which came once or twice.
    """
    (id,) = scene.ids(1)
    with scene.proxy() as proxy, scene.manager(listen=True) as receiver:
        with scene.manager(listen=False, port=proxy.port, server_name="cut") as sender:
            outcome = _written(scene, proxy, sender, id, timeout=4)
            if refused:
                proxy.cut(refuse=True)
            with pytest.raises(error) as caught:
                outcome.result(60)
            assert type(caught.value) is error
            assert caught.value.event_id == id
            proxy.cut()
            proxy.heal()
            scene.send(sender, id, timeout=60)
        scene.wait_handled([id])
        scene.drain(receiver)
        account = scene.account(receiver)
    assert not account.lost
    assert scene.handled(id) in (1, 2)


@pytest.mark.timeout(300)
def test_a_listener_kills_its_process_each_time(scene: Scene) -> None:
    """Where the broker counts deliveries, the event ends in the error queue as ``crashed``; elsewhere it stays."""
    (id,) = scene.ids(1)
    with scene.manager(listen=False) as sender:
        scene.send(sender, id)
        counts = sender.provider.capabilities.delivery_count
    most = 8 * CRASH_LIMIT if counts else CRASH_LIMIT  # Artemis counts about every second end of a process
    codes = [scene.victim(CrashPoint.HANDLED)]
    while codes[-1] == KILLED and len(codes) < most:
        codes.append(scene.victim(CrashPoint.HANDLED))
    with scene.manager(listen=True) as heir:
        if not counts:
            scene.wait_handled([id], times=len(codes) + 1)
        scene.drain(heir)
        account = scene.account(heir)
    logger.info("%s, killed %d times: %s", scene.pair.name, codes.count(KILLED), account)
    assert not account.lost
    if counts:
        assert codes[-1] == 0, f"{codes}; {scene.log()}"
        assert codes.count(KILLED) >= CRASH_LIMIT
        assert scene.handled(id) == codes.count(KILLED)
        assert scene.ledger.notes(DEAD) == {"crashed": 1}
    else:
        assert codes == [KILLED] * CRASH_LIMIT
        assert scene.handled(id) == CRASH_LIMIT + 1
        assert not scene.ledger.ids(DEAD)
