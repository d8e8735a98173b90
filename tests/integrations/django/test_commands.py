"""``manage.py events``: each action, on Artemis; in processes, and in this one."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from tests.integrations.django.project import Project, wait_until

if TYPE_CHECKING:
    from tests.brokers.artemis import ArtemisBroker


@pytest.fixture
def project(artemis: ArtemisBroker, tmp_path: Path) -> Iterator[Project]:
    """The project on Artemis, with tables."""
    pytest.importorskip("proton")
    broker = artemis.start()
    prefix = f"shop{uuid.uuid4().hex[:8]}"
    url = f"amqp://{broker.user}:{broker.password}@{broker.host}:{broker.amqp_port}/?prefix={prefix}"
    with Project(tmp_path, url=url) as made:
        made.migrate()
        yield made


def called(project: Project, *arguments: str, code: int = 0) -> str:
    """What the command writes, called in this process: a new one for each would keep the machine busy."""
    out, ended = io.StringIO(), 0
    with override_settings(ASPYX_EVENT={"URL": project.environment["ASPYX_EVENT_URL"]}):
        try:
            call_command("events", *arguments, stdout=out)
        except SystemExit as error:
            ended = int(error.code or 0)
    assert ended == code, out.getvalue()
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.artemis
def test_the_life_of_an_event_by_commands(project: Project) -> None:
    """It is sent, fails, is listed and shown, replayed, fails again, and is discarded; the broker is checked.

    No output shows the password.
    """
    written = [called(project, "check", code=1)]
    assert "2 events and 2 listeners" in written[0]
    listener = project.manage("events", "listen")
    listener.wait_for("listening")
    written += [called(project, "check", "--json")]
    assert json.loads(written[-1]) == []
    written += [called(project, "check")]
    assert written[-1].endswith("everything is there\n")
    written += [project.run("events", "send", "OrderPlaced", '{"number": -5}', "--id", "five")]
    assert written[-1] == "OrderPlaced five is confirmed\n"
    listener.wait_for("five")  # its way to the error queue is logged

    def listed() -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(called(project, "errors", "list", "--json"))
        return found

    wait_until("the dead letter", lambda: [letter["id"] for letter in listed()] == ["five"])
    [letter] = listed()
    assert (letter["listener"], letter["attempts"]) == ("Bookkeeping", 2)
    written += [called(project, "errors", "show", "five")]
    assert "ValueError: order -5 makes no sense" in written[-1]
    written += [project.run("events", "errors", "replay", "--listener", "Bookkeeping")]
    assert written[-1] == "1 event replayed\n"
    wait_until("its failure", lambda: [letter["id"] for letter in listed()] == ["five"])
    written += [project.run("events", "errors", "discard", "--all", code=1)]  # nobody says yes
    assert "Remove 1 event from the error queue for good?" in written[-1]
    written += [called(project, "errors", "discard", "five", "--yes")]
    assert listed() == []
    assert listener.end() == 0, listener.output
    assert "stopped: Bookkeeping 0 handled, 4 attempts failed, 2 in the error queue" in listener.output
    assert not any("admin-s3cret" in text for text in [*written, listener.output])


@pytest.mark.parametrize(
    ("arguments", "text", "code"),
    [
        (["listen"], "the events of local:// stay in the process", 2),
        (["send", "OrderPlaced", "{}"], "has to name a broker", 2),
        (["errors", "list"], "has to name a broker", 2),
        (["errors", "replay"], "which ones?", 2),
        (["errors", "discard", "--all", "--limit", "1"], "which ones?", 2),
        (["errors", "list", "--limit", "0"], "'0' is no whole number", 1),
        (["errors", "list", "--since", "soon"], "'soon' is no time", 1),
        (["send"], "the following arguments are required", 1),
        (["check", "--timeout", "0"], "'0' is no number of seconds", 1),
    ],
)
def test_wrong_usage(arguments: list[str], text: str, code: int) -> None:
    """The sentence says what to do; nothing is connected to. Django has 1 for what argparse finds in a call."""
    with pytest.raises(CommandError) as caught:
        call_command("events", *arguments)
    assert text in str(caught.value)
    assert caught.value.returncode == code


def test_wrong_settings() -> None:
    """A command that is called in spite of the checks says the same as they do."""
    wrong = override_settings(ASPYX_EVENT={"URL": "local://", "WORKER": 1})
    with wrong, pytest.raises(CommandError, match="did you mean 'WORKERS'"):
        call_command("events", "describe")


def test_the_table() -> None:
    """``describe`` shows each listener; for scripts as JSON. It needs no broker."""
    text, as_json = io.StringIO(), io.StringIO()
    call_command("events", "describe", stdout=text)
    assert "AsyncBookkeeping  OrderPlaced::AsyncBookkeeping" in text.getvalue()
    call_command("events", "describe", "--json", stdout=as_json)
    rows = json.loads(as_json.getvalue())["wiring"]
    assert [row["listener"] for row in rows] == ["Bookkeeping", "AsyncBookkeeping", None]


def test_nobody_answers(tmp_path: Path) -> None:
    """A broker that cannot be reached is exit code 3, wrong settings are 2; the sentence comes without a traceback."""
    pytest.importorskip("stomp")
    with Project(tmp_path, url="stomp://me:s3cret@127.0.0.1:9/") as project:
        written = project.run("events", "errors", "list", "--timeout", "1", code=3)
        assert "Traceback" not in written
        assert "Connection refused" in written
        assert "s3cret" not in written
        written = project.run("events", "send", "OrderPlaced", '{"numbers": 1}', "--timeout", "1", code=3)
    with Project(tmp_path, url="local://?colour=red") as project:
        assert "aspyx_event.E004" in project.run("events", "describe", code=1)  # Django's own checks come first
