"""``flask events ...``, on ``local://``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.integrations.flask.conftest import Factory


def test_describe_shows_the_wiring(make_app: Factory) -> None:
    """``flask events describe`` prints the table of events, listeners and queues."""
    result = make_app().test_cli_runner().invoke(args=["events", "describe"])
    assert result.exit_code == 0, result.output
    assert "OrderPlaced::Billing" in result.output
    assert "OrderShipped::shipping" in result.output


def test_listen_refuses_local_events(make_app: Factory) -> None:
    """``flask events listen`` with ``local://`` would wait for ever, and says so instead."""
    result = make_app().test_cli_runner().invoke(args=["events", "listen"])
    assert result.exit_code == 2
    assert "has to name a broker" in result.output


def test_check_counts_what_there_is(make_app: Factory) -> None:
    """``flask events check`` answers 0 where settings, declarations and broker fit."""
    for arguments in ([], ["--offline"]):
        result = make_app().test_cli_runner().invoke(args=["events", "check", *arguments])
        assert (result.exit_code, "2 events and 2 listeners" in result.output) == (0, True), result.output


def test_what_is_wrong_has_an_exit_code(make_app: Factory) -> None:
    """Wrong declarations end with a sentence and 2."""
    app = make_app(ASPYX_EVENT={"URL": "local://", "SCAN": "no_such_shop"})
    result = app.test_cli_runner().invoke(args=["events", "check", "--offline"])
    assert (result.exit_code, "no_such_shop" in result.output) == (2, True)


def test_a_broker_that_is_away_has_an_exit_code(make_app: Factory) -> None:
    """``flask events check`` ends with 3 when no broker answers, and shows no password."""
    pytest.importorskip("stomp")
    app = make_app(ASPYX_EVENT={"URL": "stomp://127.0.0.1:9/", "USER": "u", "PASSWORD": "s3cret"})
    result = app.test_cli_runner().invoke(args=["events", "check", "--timeout", "0.5"])
    assert result.exit_code == 3, result.output
    assert "s3cret" not in result.output


def test_settings_that_init_app_refuses(tmp_path: Path) -> None:
    """Wrong settings fail while Flask loads the application: the last line says what is wrong, and the code is 1."""
    (tmp_path / "app.py").write_text(
        "from flask import Flask\n"
        "from aspyx_event.integrations.flask import AspyxEvent\n"
        "app = Flask(__name__)\n"
        "app.config['ASPYX_EVENT'] = {'URL': 'local://', 'WORKER': 2}\n"
        "AspyxEvent(app)\n"
    )
    command = [sys.executable, "-m", "flask", "--app", "app", "events", "check"]
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # the environment of the oldest Flask does not hold the library
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert "no setting 'WORKER'; did you mean 'WORKERS'?" in ended.stderr.splitlines()[-1]
