"""Who lives."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from aspyx_event.providers.sqlite import identity
from aspyx_event.providers.sqlite.identity import Watch, is_alive, own_identity

OWN = own_identity()
linux = pytest.mark.skipif(not OWN, reason="a process can only be looked at on Linux")


@linux
def test_this_process_lives() -> None:
    """This process finds itself alive."""
    assert is_alive(OWN, OWN) is True


@linux
def test_another_start_time_is_another_process() -> None:
    """A PID that was given to another process, or to none, is no life; neither is anything from before the boot."""
    boot, space, pid, start = OWN.split("/")
    assert is_alive(f"{boot}/{space}/{pid}/{int(start) - 1}", OWN) is False
    assert is_alive(f"{boot}/{space}/{2**22 + 1}/{start}", OWN) is False
    assert is_alive(f"other/{space}/{pid}/{start}", OWN) is False


@linux
def test_nothing_is_known_of_other_containers() -> None:
    """Of a process in another PID namespace, or without an identity, nothing is known."""
    boot, _, pid, start = OWN.split("/")
    assert is_alive(f"{boot}/pid:[1]/{pid}/{start}", OWN) is None
    assert is_alive("", OWN) is None
    assert is_alive(OWN, "") is None
    assert is_alive("a/b/c/d", "a/b/c/d") is None


@linux
def test_a_process_that_nobody_waited_for_is_dead() -> None:
    """A process that ended counts as dead before its parent has waited for it."""
    code = "import sys; from aspyx_event.providers.sqlite.identity import own_identity; print(own_identity(), flush=True); sys.stdin.readline()"  # noqa: E501
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        other = process.stdout.readline().strip()
        assert is_alive(other, OWN) is True
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_alive(other, OWN) is False


class Clock:
    """Time that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(identity, "monotonic", made)
    return made


def test_a_session_without_beats_is_over_after_its_lease(clock: Clock) -> None:
    """A session of which nothing else is known is over when its beats stand still for the lease, and not before."""
    watch = Watch("", step=1, lease=5)
    for beat in (1, 2, 2, 2, 2, 2):
        assert watch.dead([(7, "", beat)]) == []
        clock.now += 1
    assert watch.dead([(7, "", 2)]) == [7]
    assert watch.dead([(7, "", 3)]) == []


def test_the_watchers_own_sleep_counts_little(clock: Clock) -> None:
    """A watcher that was halted itself for an hour does not take the others for dead."""
    watch = Watch("", step=1, lease=5)
    assert watch.dead([(7, "", 1)]) == []
    clock.now += 3600
    assert watch.dead([(7, "", 1)]) == []
    clock.now += 1
    assert watch.dead([(7, "", 2)]) == []


@linux
def test_a_dead_process_is_over_at_once() -> None:
    """A session whose process is known to be dead is over at once."""
    boot, space, pid, start = OWN.split("/")
    dead = f"{boot}/{space}/{pid}/{int(start) - 1}"
    assert Watch(OWN, step=1, lease=60).dead([(1, OWN, 0), (2, dead, 0), (3, "", 0)]) == [2]
