"""CrashingProvider: where it dies, what was passed on by then, and what it refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence

import pytest

from aspyx_event import ConfigurationError, LocalProvider, Provider
from aspyx_event.testing.conformance import ProviderConformance
from aspyx_event.testing.crash import CrashingProvider, CrashPoint

SENT = "send passed on"
TRIED = "handle fail 1"
FAILED = [SENT, TRIED, "retry passed on", "accept passed on", "handle fail 2"]

LAST_STEPS = [
    (CrashPoint.ARRIVED, ["succeed"], [SENT]),
    (CrashPoint.HANDLED, ["succeed"], [SENT, "handle succeed 1"]),
    (CrashPoint.ACCEPT_WRITTEN, ["succeed"], [SENT, "handle succeed 1", "accept passed on"]),
    (CrashPoint.RETRY_WRITTEN, ["fail"], [SENT, TRIED, "retry passed on"]),
    (CrashPoint.RETRY_CONFIRMED, ["fail"], [SENT, TRIED, "retry passed on"]),
    (CrashPoint.ERROR_WRITTEN, ["fail"], [*FAILED, "error passed on"]),
    (CrashPoint.ERROR_CONFIRMED, ["fail"], [*FAILED, "error passed on"]),
    (CrashPoint.RELEASED, ["hold", "hold"], [SENT, SENT, "handle hold 1", "stop"]),
    (CrashPoint.SEND_WRITTEN, ["succeed"], [SENT]),
]


def run(point: CrashPoint, nth: int, behaviours: Sequence[str]) -> tuple[int, list[str]]:
    """The exit code of the program, and its steps."""
    command = [sys.executable, "-m", "tests.unit.testing.dying", point.name, str(nth), *behaviours]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(("point", "behaviours", "steps"), LAST_STEPS, ids=[step[0].name for step in LAST_STEPS])
def test_dies_at_its_point(point: CrashPoint, behaviours: list[str], steps: list[str]) -> None:
    """SIGKILL comes at the point: what belongs before it was passed on, what comes after it was not."""
    code, found = run(point, 1, behaviours)
    assert code == -signal.SIGKILL
    assert sorted(found) == sorted(steps)  # two threads write
    assert found[-1] == steps[-1]


def test_every_point_is_tried() -> None:
    """No crash point is without a test."""
    assert [point for point, _, _ in LAST_STEPS] == list(CrashPoint)


def test_dies_at_the_nth_time() -> None:
    """``nth`` lets the point pass so often before, and other points do not count."""
    code, found = run(CrashPoint.HANDLED, 3, ["succeed", "fail", "succeed", "succeed", "succeed"])
    assert code == -signal.SIGKILL
    assert found.count("handle succeed 1") == 3
    assert found.count("accept passed on") == 4  # of the first two, and after the two copies


def test_lives_when_its_point_does_not_come() -> None:
    """A process that does not get there ends as always."""
    code, found = run(CrashPoint.RETRY_CONFIRMED, 1, ["succeed"])
    assert code == 0
    assert found[-1] == "end"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"at": CrashPoint.SEND_WRITTEN}, "needs proxy="),
        ({"at": "sent"}, "give a CrashPoint"),
        ({"at": CrashPoint.ARRIVED, "nth": 0}, "a number from 1 on"),
        ({"at": CrashPoint.ARRIVED, "nth": True}, "a number from 1 on"),
        ({"at": CrashPoint.ARRIVED, "inner": "local://"}, "give the Provider"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    """What cannot work is a ConfigurationError that says what to give."""
    with pytest.raises(ConfigurationError, match=message):
        CrashingProvider(**{"inner": LocalProvider(), **arguments})  # type: ignore[arg-type]


def test_repr_shows_the_point() -> None:
    """The repr says where it will die, and what it wraps."""
    provider = CrashingProvider(LocalProvider(), at=CrashPoint.RELEASED, nth=2)
    assert "released, 2 to go, of <LocalProvider" in repr(provider)


class TestPassesEverythingOn(ProviderConformance):
    """Until its point comes it is the provider it wraps: it holds the conformance suite."""

    @pytest.fixture(autouse=True)
    def bus(self) -> None:
        self.keep = LocalProvider(f"crashing-{uuid.uuid4()}")

    def make_provider(self, server_name: str, prefix: str, *, port: int | None = None) -> Provider:
        assert port is None
        inner = LocalProvider(self.keep.bus.name, server_name=server_name, prefix=prefix)
        return CrashingProvider(inner, at=CrashPoint.ARRIVED, nth=10**9)
