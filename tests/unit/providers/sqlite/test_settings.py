"""What a SQLite provider is told."""

from __future__ import annotations

from typing import Any

import pytest

from aspyx_event import ConfigurationError, SqliteProvider, provider_from_url
from aspyx_event.providers.sqlite.settings import SqliteSettings, arguments_from_url


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///events.db", "events.db"),
        ("sqlite:///data/events.db", "data/events.db"),
        ("sqlite:////var/lib/shop/events.db", "/var/lib/shop/events.db"),
        ("sqlite:////a", "/a"),
        ("SQLITE:////a", "/a"),
        ("sqlite:///C:/data/events.db", "C:/data/events.db"),
        ("sqlite:///my%20shop/a%3Fb%23c.db", "my shop/a?b#c.db"),
        ("sqlite:////a//b.db", "/a//b.db"),
    ],
)
def test_paths(url: str, path: str) -> None:
    """Three slashes and a path are relative, four are absolute, on every Python; the path is percent-decoded."""
    provider = provider_from_url(url)
    assert isinstance(provider, SqliteProvider)
    assert arguments_from_url(url) == {"path": path}
    assert f"<SqliteProvider {path} not connected" in repr(provider)


def test_options() -> None:
    """Options of the URL are those of the provider, numbers among them."""
    url = "sqlite:///e.db?server_name=web-{pid}&prefix=shop&error_queue=dead&poll=0.5&max_size=2000000&min_free=0"
    assert arguments_from_url(url) == {
        "path": "e.db",
        "server_name": "web-{pid}",
        "prefix": "shop",
        "error_queue": "dead",
        "poll": 0.5,
        "max_size": 2_000_000,
        "min_free": 0,
    }
    assert provider_from_url(url).error_queue == "dead"
    assert provider_from_url("sqlite:///e.db?prefix=shop").error_queue == "shop.error"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "sqlite:///relative.db or sqlite:////absolute/path.db"),
        ("sqlite:///", "holds the path of a file"),
        ("sqlite://events.db", "and no host: write"),
        ("sqlite://me:secret@/events.db", "no user and no password: take them out of it, and unset ASPYX_EVENT_USER"),
        ("sqlite:events.db", "holds the path of a file"),
        ("sqlite:///:memory:", "local://"),
        ("sqlite:///a.db#b", "%23"),
        ("sqlite:///a.db?host=x", "does not know the option 'host'; it has server_name, prefix"),
        ("sqlite:///a.db?path=x", "does not know the option 'path'"),
        ("sqlite:///a.db?prefix=x&prefix=y", "'prefix' twice"),
        ("sqlite:///a.db?poll=often", "poll='often': a number"),
        ("sqlite:///a.db?max_size=1e9", "max_size='1e9': a number"),
        ("sqlite:///a.db?max_size=1000", "a mebibyte or more"),
        ("sqlite:///a.db?prefix=a b", "prefix 'a b'"),
        ("sqlite:///a%00b", "give the path of a file"),
    ],
)
def test_what_is_wrong_with_a_url(url: str, message: str) -> None:
    """What is wrong with a URL is said, with what to write instead."""
    with pytest.raises(ConfigurationError) as caught:
        provider_from_url(url)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"path": ""},
        {"path": 3},
        {"path": b"a.db"},
        {"path": "a.db", "poll": 0},
        {"path": "a.db", "poll": True},
        {"path": "a.db", "poll": "1"},
        {"path": "a.db", "max_size": 2.5e9},
        {"path": "a.db", "min_free": -1},
        {"path": "a.db", "server_name": " "},
        {"path": "a.db", "error_queue": "a b"},
    ],
)
def test_what_is_wrong_with_options(options: dict[str, Any]) -> None:
    """Options that cannot work are refused by name."""
    with pytest.raises(ConfigurationError, match=next(reversed(options))):
        SqliteSettings(**options)


def test_a_path_object_is_a_path(tmp_path: Any) -> None:
    """A pathlib.Path is as good as a str."""
    assert SqliteSettings(tmp_path / "a.db").path == str(tmp_path / "a.db")
