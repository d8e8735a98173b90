"""The demo, as a person runs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aspyx_event.cli import demo
from aspyx_event.cli.main import main
from aspyx_event.cli.screen import PlainScreen, RichScreen, screen


def test_the_demo_tells_the_whole_story(capsys: pytest.CaptureFixture[str]) -> None:
    """Sent, failed, retried, dead-lettered, replayed: all is told, in that order for the hopeless order."""
    assert main(["demo", "--plain"]) == 0
    output = capsys.readouterr().out
    fate = next(line for line in output.splitlines() if line.startswith("order-4  ")).split("  ", 1)[1].split(" > ")
    mine = [step for step in fate if step in ("sent", "failed", "retried", "dead letter", "replayed")]
    assert mine == ["sent", "failed", "failed", "retried", "failed", "failed", "dead letter", "replayed"]
    assert "Nothing was lost." in output
    assert "OrderPlaced::Billing" in output


def test_the_demo_with_rich(capsys: pytest.CaptureFixture[str]) -> None:
    """With rich installed the same story is told in frames."""
    pytest.importorskip("rich")
    assert isinstance(screen(), RichScreen)
    assert demo.run(RichScreen()) == 0
    output = capsys.readouterr().out
    assert "What became of each order" in output
    assert "dead letter" in output


def test_the_demo_fails_loudly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A story that does not come out as promised is an exit code of 1 and a sentence."""
    monkeypatch.setattr(demo, "PATIENCE", 0.3)
    assert demo.run(PlainScreen()) == 1
    assert "did not come out" in capsys.readouterr().out


def test_without_a_command_it_helps() -> None:
    """``python -m aspyx_event`` prints what there is, and an unknown command is exit code 2."""
    help_ = subprocess.run([sys.executable, "-m", "aspyx_event"], capture_output=True, text=True, check=True)
    assert "demo" in help_.stdout
    wrong = subprocess.run([sys.executable, "-m", "aspyx_event", "nonsense"], capture_output=True, check=False)
    assert wrong.returncode == 2
