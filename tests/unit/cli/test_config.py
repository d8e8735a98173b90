"""Where settings come from, and where passwords must not come from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from aspyx_event import ConfigurationError
from aspyx_event.cli.config import Settings, settings

URL = "amqp://me@h1:1,h2:2/?server_name=x"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, name: str = "aspyx_event.ini") -> Path:
    path = Path(name)
    path.write_text(text)
    return path.absolute()


def test_the_first_place_counts() -> None:
    """Options before the environment before the file, each key by itself."""
    written("[aspyx_event]\nurl = stomp://file/\nuser = from-file\npassword = 100%\nworkers = 3\n")
    found = settings({"url": None, "prefix": "option"}, environment={"ASPYX_EVENT_USER": "from-environment"})
    assert (found.url, found.user, found.password) == ("stomp://file/", "from-environment", "100%")
    assert (found.prefix, found.workers, found.app) == ("option", 3, "")
    found = settings({"url": "local://"}, environment={"ASPYX_EVENT_URL": "amqp://h/", "ASPYX_EVENT_PREFIX": ""})
    assert (found.url, found.prefix) == ("local://", "")


def test_which_file() -> None:
    """The option names the file, else the environment, else it is the one in the current directory, if there is one."""
    assert settings({}, environment={}) == Settings()
    written("[aspyx_event]\nprefix=here\n")
    written("[aspyx_event]\nprefix=environment\n", "env.ini")
    written("[aspyx_event]\nprefix=option\n", "option.ini")
    assert settings({}, environment={}).prefix == "here"
    environment = {"ASPYX_EVENT_CONFIG": "env.ini"}
    assert settings({}, environment=environment).prefix == "environment"
    assert settings({}, file="option.ini", environment=environment).prefix == "option"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("url = amqp://me:s3cret@h/\n", "no INI file"),
        ("[aspyx_event]\ns3cret\n", "no INI file"),
        ("[other]\nurl = x\n", r"no section \[aspyx_event\]"),
        ("[aspyx_event]\nuri = amqp://me:s3cret@h/\n", "unknown key 'uri'; there are url, user, password"),
        ("[aspyx_event]\nworkers = many\n", "workers = 'many'"),
    ],
)
def test_files_that_cannot_be_meant(text: str, words: str) -> None:
    """Each is one sentence, and none repeats what may be a password."""
    written(text)
    with pytest.raises(ConfigurationError, match=words) as caught:
        settings({}, environment={})
    assert "s3cret" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that was named has to be there, and to be text."""
    for name in ("nowhere.ini", str(tmp_path)):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            settings({}, file=name, environment={})
    Path("binary.ini").write_bytes(b"\xff\xfe[")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        settings({}, file="binary.ini", environment={})


@pytest.mark.parametrize("url", ["amqp://me:s3cret@h/", "stomp://me:s3/cret@h/", "amqps://:s3cret@h/", "amqp://me:@h/"])
def test_no_password_on_the_command_line(url: str) -> None:
    """A --url with a password is refused, with what to do instead; from other places it is welcome."""
    with pytest.raises(
        ConfigurationError, match="set ASPYX_EVENT_PASSWORD, or write password= into the file"
    ) as caught:
        settings({"url": url}, environment={})
    assert "s3cret" not in str(caught.value)
    assert settings({}, environment={"ASPYX_EVENT_URL": url}).url == url


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"url": "amqp://h/"}, "amqp://h/"),
        ({"url": "amqp://h/", "user": "me"}, "amqp://me@h/"),
        ({"url": "amqp://me@h/", "user": "me", "password": "p/w@d"}, "amqp://me:p%2Fw%40d@h/"),
        ({"url": "amqp://me@h1:1,h2:2/", "password": "x"}, "amqp://me:x@h1:1,h2:2/"),
        ({"url": "amqp://me:own@h/", "password": "other"}, "amqp://me:own@h/"),
        ({"url": "local://", "prefix": "p"}, "local://?prefix=p"),
        ({"url": "sqlite:///a.db", "prefix": "p"}, "sqlite:///a.db?prefix=p"),
        ({"url": "amqp://h/?tls=true", "server_name": "{host}-1"}, "amqp://h/?tls=true&server_name=%7Bhost%7D-1"),
        ({"url": "amqp://h/?prefix=p", "prefix": "p"}, "amqp://h/?prefix=p"),
    ],
)
def test_the_whole_url(given: dict[str, Any], expected: str) -> None:
    """User, password and options go where the URL has none, percent-encoded."""
    assert Settings(**given).full_url == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Give --url, set ASPYX_EVENT_URL, or write url="),
        ({"url": "amqp://h/", "password": "s3cret"}, "a password, but no user"),
        ({"url": "amqp://you@h/", "user": "me"}, "another user"),
        ({"url": "amqp://h/?prefix=a", "prefix": "b"}, "the URL says prefix=a, and another place 'b'"),
    ],
)
def test_what_does_not_fit_together(given: dict[str, Any], words: str) -> None:
    """Contradictions are errors, not silently one of the two."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        _ = Settings(**given).full_url
    assert "s3cret" not in str(caught.value)


def test_the_repr_hides_it() -> None:
    """Neither URL nor password are in the repr."""
    assert "s3cret" not in repr(Settings(url="amqp://me:s3cret@h/", password="s3cret"))


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_that_others_can_read() -> None:
    """A file with a password that others can read is noticed; one without, or one's own, is fine."""
    path = written("[aspyx_event]\npassword = x\n")
    path.chmod(0o644)
    assert settings({}, environment={}).readable_by_others
    path.chmod(0o600)
    assert not settings({}, environment={}).readable_by_others
    path = written("[aspyx_event]\nprefix = x\n")
    path.chmod(0o644)
    assert not settings({}, environment={}).readable_by_others
