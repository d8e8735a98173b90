"""The commands as they are typed, as far as they need no broker."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

pytest.importorskip("click")

from aspyx_event import EventManager, LocalProvider, Outcome
from aspyx_event.cli.application import event_of, manager_of, registry_of
from aspyx_event.cli.config import Settings
from aspyx_event.cli.main import main
from aspyx_event.exceptions import ConfigurationError
from tests.unit.cli import support
from tests.unit.support import ROOT, Collected, managed

SUPPORT = "tests.unit.cli.support"
ORDERED = f"{SUPPORT}:Ordered"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("URL", "USER", "PASSWORD", "APP", "PREFIX", "SERVER_NAME", "WORKERS", "CONFIG"):
        monkeypatch.delenv(f"ASPYX_EVENT_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a bus that this test and the commands share; commands find it in the environment."""
    url = f"local://cli-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("ASPYX_EVENT_URL", url)
    return url


@pytest.fixture
def listening(bus: str) -> Iterator[Collected[Outcome]]:
    """The outcomes of a manager that listens on that bus; its listeners fail."""
    support.broken[0] = True
    outcomes = Collected[Outcome]()
    provider = LocalProvider(bus.partition("://")[2])
    with managed(support.billing, support.shipping, support.booking, provider=provider, observers=[outcomes]):
        yield outcomes


def test_send(listening: Collected[Outcome], capsys: pytest.CaptureFixture[str]) -> None:
    """The event is sent with its id; the listener gets what was typed."""
    assert main(["send", f"{SUPPORT}:Paid", '{"id": 7}', "--id", "p-7", "--key", "k", "--header", "tenant=a=b"]) == 0
    assert capsys.readouterr().out == "Paid p-7 is confirmed\n"
    listening.wait()
    assert main(["errors", "show", "p-7", "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert (found["body"], found["headers"]["tenant"], found["headers"]["cloudEvents_partitionkey"]) == (
        '{"id":7}', "a=b", "k",
    )  # fmt: skip


def test_send_for_scripts(bus: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON comes from stdin, and the new id goes to stdout."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO('{"id": 1, "note": "ü"}'.encode())))
    assert main(["send", ORDERED, "-", "--json", "--delay", "5", "--ttl", "60"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["event"] == "Ordered"
    assert uuid.UUID(found["id"])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([ORDERED, '{"id": "x"}'], "id"),
        ([ORDERED, "{}"], "id"),
        ([ORDERED, "{"], "JSON"),
        ([ORDERED, "[]"], "Ordered"),
        ([ORDERED, '{"id": 1, "nite": "typo"}'], "Ordered has no field 'nite'; it has id, note"),
        ([f"{SUPPORT}:Nothing", "{}"], "no event 'Nothing'; there are: Ordered, Paid"),
        ([SUPPORT, "{}"], "MODULE:Event"),
        (["no.such:Thing", "{}"], "no.such cannot be imported"),
        ([ORDERED, '{"id": 1}', "--header", "tenant"], "name=value"),
        ([ORDERED, '{"id": 1}', "--header", "a=1", "--header", "a=2"], "each name once"),
        ([ORDERED, '{"id": 1}', "--header", "ev_attempt=1"], "ev_attempt"),
        ([ORDERED, '{"id": 1}', "--delay", "-1"], "--delay"),
        ([ORDERED, '{"id": 1}', "--ttl", "0"], "--ttl"),
        ([ORDERED], "JSON"),
    ],
)
def test_what_cannot_be_sent(bus: str, arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, nothing is sent, and a sentence says what is wrong."""
    assert main(["send", *arguments]) == 2
    assert word in capsys.readouterr().err


def test_stdin_that_is_no_text(bus: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are not UTF-8 are exit code 2."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff{}")))
    assert main(["send", ORDERED, "-"]) == 2
    assert "not UTF-8" in capsys.readouterr().err


def test_describe(capsys: pytest.CaptureFixture[str]) -> None:
    """The wiring of a module, without a broker; as JSON too."""
    assert main(["describe", SUPPORT]) == 0
    assert "Ordered::billing" in capsys.readouterr().out
    assert main(["describe", f"{SUPPORT}:registry", "--prefix", "shop", "--url", "local://", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["error_queue"] == "shop.error"
    rows = {row["listener"]: (row["event"], row["queue"], row["durable"], row["state"]) for row in found["wiring"]}
    assert rows["booking"] == ("Paid", "Paid::shop.booking", True, None)


def test_errors(
    listening: Collected[Outcome], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """list, show, replay and discard as they are typed; the application may be named in the environment."""
    assert main(["send", ORDERED, '{"id": 1}', "--id", "o-1"]) == 0
    listening.wait(2)
    assert main(["errors", "list", "--since", "1h", "--type", "Ordered"]) == 0
    assert "2 events in the error queue" in capsys.readouterr().out
    assert main(["errors", "show", "o-2"]) == 1
    monkeypatch.setenv("ASPYX_EVENT_APP", SUPPORT)
    assert main(["errors", "replay", "o-1", "--listener", "billing", "--json"]) == 0
    listening.wait(3)
    captured = capsys.readouterr()
    assert [one["listener"] for one in json.loads(captured.out)["replayed"]] == ["billing"]
    assert main(["errors", "discard", "--all", "--yes"]) == 0
    assert capsys.readouterr().out == "2 events discarded\n"


@pytest.mark.parametrize(("typed", "code", "count"), [("y\n", 0, 0), ("n\n", 1, 2), ("", 1, 2)])
def test_the_question(
    listening: Collected[Outcome],
    typed: str,
    code: int,
    count: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """discard asks first; anything but yes, or nobody there to answer, removes nothing."""
    assert main(["send", ORDERED, '{"id": 1}']) == 0
    listening.wait(2)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert main(["errors", "discard", "--all"]) == code
    assert "Remove 2 events from the error queue for good?" in capsys.readouterr().err
    assert main(["errors", "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == count


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["errors", "replay", "--app", SUPPORT], "which ones?"),
        (["errors", "replay", "x", "--all", "--app", SUPPORT], "which ones?"),
        (["errors", "discard"], "which ones?"),
        (["errors", "replay", "x"], "whose listeners?"),
        (["errors", "show"], "ID"),
        (["errors", "list", "--since", "soon"], "write 30m, 12h or 7d"),
        (["errors", "list", "--limit", "0"], "--limit"),
        (["errors", "list", "--url", "amqp://me:s3cret@h/"], "ASPYX_EVENT_PASSWORD"),
        (["errors", "frobnicate"], "frobnicate"),
        (["errors", "list", "--config", "nowhere.ini"], "nowhere.ini"),
        (["listen"], "whose listeners?"),
        (["listen", "tests.docs.pages"], "no event and no listener"),
        (["listen", f"{SUPPORT}:nothing"], "has no 'nothing'"),
        (["listen", f"{SUPPORT}:Ordered"], "Ordered"),
        (["describe"], "of what?"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_usage(bus: str, arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and a sentence that says what is wrong, without a password."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert word in captured.err
    assert "s3cret" not in captured.err + captured.out


def test_without_a_broker(capsys: pytest.CaptureFixture[str]) -> None:
    """Which broker is asked for when nobody says it."""
    for arguments in (["errors", "list"], ["listen", SUPPORT], ["send", ORDERED, '{"id":1}']):
        assert main(arguments) == 2
        assert "which broker? Give --url" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["errors", "list"], ["listen", SUPPORT], ["send", ORDERED, '{"id":1}']])
def test_a_broker_that_does_not_answer(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3, one line, and no password."""
    pytest.importorskip("proton")
    monkeypatch.setenv("ASPYX_EVENT_PASSWORD", "s3cret")
    monkeypatch.setattr("aspyx_event.manager.START_TIMEOUT", 0.5)
    monkeypatch.setattr(EventManager.start, "__defaults__", (0.5, True))
    limit = [] if command[0] == "listen" else ["--timeout", "0.5"]
    assert main([*command, *limit, "--url", "amqp://me@127.0.0.1:1/"]) == 3
    captured = capsys.readouterr()
    assert "127.0.0.1:1" in captured.err
    assert "s3cret" not in captured.err + captured.out


def test_interrupted(capsys: pytest.CaptureFixture[str], bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in a command is exit code 130."""

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aspyx_event.cli.errors.list_errors", interrupt)
    assert main(["errors", "list"]) == 130


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command there is help, and each command has its own; the version is the library's."""
    import aspyx_event

    assert main([]) == 0
    assert "Exit codes of all commands" in capsys.readouterr().out
    for command in (["listen"], ["send"], ["describe"], ["errors", "replay"], ["topology", "check"], ["demo"]):
        assert main([*command, "--help"]) == 0
        assert "Usage:" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert aspyx_event.__version__ in capsys.readouterr().out


def test_without_click(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence says what to install; the demo needs nothing, and a slip of the pen is exit code 2."""
    nothing: Any = lambda _name: None  # noqa: E731
    monkeypatch.setattr("importlib.util.find_spec", nothing)
    for command in ("listen", "send", "describe", "errors", "topology"):
        assert main([command]) == 2
        assert "pip install aspyx-event[cli]" in capsys.readouterr().err
    assert main([]) == main(["--help"]) == 0
    assert "demo" in capsys.readouterr().out
    assert main(["nonsense"]) == main(["demo", "--colour"]) == 2


@pytest.mark.parametrize(("level", "expected"), [("info", "INFO aspyx_event.manager: stopped"), ("warning", "")])
def test_a_log_is_written_to_stderr(level: str, expected: str) -> None:
    """--log-level says how much, and stdout stays for results."""
    command = ["errors", "list", "--url", "local://", "--log-level", level, "--json"]
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "aspyx_event", *command],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (0, "[]\n")
    assert expected in result.stderr if expected else result.stderr == ""


def test_a_reader_that_has_seen_enough() -> None:
    """``aspyx-event describe | head -1`` is no traceback."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "aspyx_event", "describe", SUPPORT],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(60) == 1


# -- what MODULE:NAME may be

manager = EventManager("local://", registry=support.registry)
nothing = object()


def make() -> EventManager:
    return manager


def broken() -> EventManager:
    raise RuntimeError("no database")


def test_applications() -> None:
    """A package, a registry, a manager, or a function that makes one."""
    here = __name__
    assert manager_of(Settings(app=f"{here}:manager")) is manager
    assert manager_of(Settings(app=f"{here}:make")) is manager
    assert registry_of(f"{here}:manager") is support.registry
    found = manager_of(Settings(app=f"{SUPPORT}:registry", url="local://", workers=3))
    assert found.registry is support.registry
    assert {event.name for event in registry_of(SUPPORT).events} == {"Ordered", "Paid"}
    assert event_of(ORDERED) is support.Ordered


@pytest.mark.parametrize(
    ("app", "url", "words"),
    [
        (f"{__name__}:manager", "local://", "which has its own url"),
        (f"{__name__}:broken", "local://", "RuntimeError: no database"),
        (f"{__name__}:nothing", "local://", "is object: name an EventManager, an EventRegistry, or a function"),
    ],
)
def test_what_is_no_application(app: str, url: Optional[str], words: str) -> None:
    """Each is a sentence that says what would be one."""
    with pytest.raises(ConfigurationError, match=words):
        manager_of(Settings(app=app, url=url or ""))


def test_logging_of_an_application_is_left_alone() -> None:
    """Where the root logger has handlers, the commands add none."""
    from aspyx_event.cli.options import _log

    handlers = list(logging.getLogger().handlers)
    assert handlers, "pytest has its own"
    _log("debug")
    assert logging.getLogger().handlers == handlers
