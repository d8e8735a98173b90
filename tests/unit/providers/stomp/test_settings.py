"""Options: what is refused, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.network.url_options import arguments_from_url
from aspyx_event.providers.stomp import StompSettings

SECRET = "s3cret-word"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server_name", ""),
        ("server_name", None),
        ("host", 5),
        ("host", " "),
        ("host", "a\nb"),
        ("port", 0),
        ("port", True),
        ("hosts", "h1,h2"),
        ("hosts", (("h1", 1), "h2")),
        ("user", "a\nhost:evil"),
        ("user", None),
        ("prefix", "a::b"),
        ("heartbeat", 0),
        ("heartbeat", float("nan")),
        ("connect_timeout", "10"),
        ("error_queue", "a::b"),
        ("declare", "yes"),
        ("broker", "hornetq"),
        ("virtual_host", 7),
        ("virtual_host", "/\0"),
        ("tls", "yes"),
        ("ca_file", "/no/such/file"),
    ],
)
def test_bad_values_name_the_option(name: str, value: Any) -> None:
    """An impossible value is a ConfigurationError that names the option."""
    with pytest.raises(ConfigurationError, match=name.rstrip("s")):
        _ = StompSettings(**{name: value}).naming


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b"])
def test_a_password_that_would_break_the_frame(bad: str) -> None:
    """CONNECT knows no escapes: a password that would inject a header is refused, and not repeated."""
    with pytest.raises(ConfigurationError, match="password") as refused:
        StompSettings(user="u", password=f"{SECRET}{bad}")
    assert SECRET not in str(refused.value)


def test_options_that_need_each_other(tmp_path: Path) -> None:
    """A password needs a user, a key its certificate, and files need TLS."""
    file = tmp_path / "x.pem"
    file.write_text("")
    for options, word in (
        ({"password": SECRET}, "user"),
        ({"key_file": file}, "cert_file"),
        ({"ca_file": file, "tls": False}, "TLS"),
    ):
        with pytest.raises(ConfigurationError, match=word):
            StompSettings(**options)  # type: ignore[arg-type]
    assert StompSettings(ca_file=file).secure  # type: ignore[arg-type]
    assert not StompSettings().secure


def test_the_password_is_in_no_repr() -> None:
    """Neither password shows."""
    settings = StompSettings(user="u", password=SECRET, key_password=SECRET)
    assert SECRET not in repr(settings) + str(settings)


def test_url_parts() -> None:
    """Hosts get the default port, options their types; unknown ones are listed with the known."""
    found = arguments_from_url(
        StompSettings,
        hosts=[("h1", 5), ("h2", None)],
        user="u",
        password="p",
        tls=False,
        options={"prefix": "shop", "heartbeat": "2.5", "declare": "false", "virtual_host": "/"},
    )
    assert found["hosts"] == (("h1", 5), ("h2", 61613))
    assert (found["heartbeat"], found["declare"], found["prefix"]) == (2.5, False, "shop")
    assert StompSettings(**found).hosts == (("h1", 5), ("h2", 61613))
    secure = arguments_from_url(StompSettings, hosts=[("h", None)], user="", password="", tls=True, options={})
    assert (secure["hosts"], secure["tls"]) == ((("h", 61614),), True)
    for options, word in (
        ({"server": "x"}, "server_name"),
        ({"heartbeat": "soon"}, "heartbeat"),
        ({"declare": "maybe"}, "declare"),
    ):
        with pytest.raises(ConfigurationError, match=word):
            arguments_from_url(StompSettings, hosts=[("h", None)], user="", password="", tls=False, options=options)
    with pytest.raises(ConfigurationError, match="contradicts"):
        arguments_from_url(StompSettings, hosts=[("h", None)], user="", password="", tls=True, options={"tls": "false"})
