"""The demo, as a person runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aspyx_event import EventManager, ProviderUnavailable
from aspyx_event.cli import demo
from aspyx_event.cli.main import main
from aspyx_event.cli.screen import PlainScreen, RichScreen, screen

ROOT = Path(__file__).parents[3]
HOPELESS = "failed x2 > retried > failed x2 > dead letter > replaying > handled"


@pytest.fixture(params=["plain", "rich"])
def renderer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments that choose a renderer."""
    monkeypatch.setenv("COLUMNS", "120")
    if request.param == "plain":
        return ["--plain"]
    pytest.importorskip("rich")
    return []


def test_the_demo_tells_the_whole_story(renderer: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Failed, retried, dead-lettered, replayed, handled: either renderer tells all of it, in that order."""
    assert main(["demo", *renderer]) == 0
    output = capsys.readouterr().out
    assert HOPELESS in output
    assert output.count("failed x2 > retried > handled") == 1
    assert "OrderPlaced::Billing" in output
    assert "the error queue is empty" in output


def test_a_timeline(renderer: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every step has a line with its time, and times do not go back."""
    main(["demo", *renderer])
    lines = [line for line in capsys.readouterr().out.splitlines() if line[6:9] == " s "]
    times = [float(line[:6]) for line in lines]
    assert len(lines) == 5 + 1 + 10 + 6 + 2 + 1 + 1  # sending, confirmed, handled, failed, retried, dead, replaying
    assert times == sorted(times)
    assert times[-1] < 10


def test_the_renderer_is_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich is used where it is installed, and nowhere else."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert isinstance(screen(), PlainScreen)
    monkeypatch.undo()
    pytest.importorskip("rich")
    assert isinstance(screen(), RichScreen)
    assert isinstance(screen(plain=True), PlainScreen)


def test_a_story_that_takes_too_long(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What does not happen in time is an exit code of 1, and a sentence that says what is missing."""
    monkeypatch.setattr(demo, "PATIENCE", 0.3)
    assert demo.run(PlainScreen()) == 1
    assert "did not come out as promised: after 0.3 s there was" in capsys.readouterr().out


def test_a_story_whose_event_cannot_be_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of the library ends the demo with its name, and without a traceback."""

    def refuse(*_: Any, **__: Any) -> None:
        raise ProviderUnavailable("there is no bus")

    monkeypatch.setattr(EventManager, "send_event", refuse)
    assert demo.run(PlainScreen()) == 1
    assert "ProviderUnavailable: there is no bus." in capsys.readouterr().out


def test_without_a_command_it_helps() -> None:
    """``python -m aspyx_event`` prints what there is, and an unknown command is exit code 2."""
    help_ = subprocess.run([sys.executable, "-m", "aspyx_event"], capture_output=True, text=True, check=True)
    assert "demo" in help_.stdout
    wrong = subprocess.run([sys.executable, "-m", "aspyx_event", "nonsense"], capture_output=True, check=False)
    assert wrong.returncode == 2


def test_as_a_program() -> None:
    """The demo says nothing on stderr, and its exit code is the process's."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "aspyx_event", "demo", "--plain"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert HOPELESS in result.stdout
