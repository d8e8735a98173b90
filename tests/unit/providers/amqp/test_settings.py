"""Options: what is refused, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("proton")

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.amqp import AMQPProvider, AMQProvider, AMQPSettings

SECRET = "s3cret-word"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server_name", ""),
        ("server_name", "a b"),
        ("server_name", None),
        ("host", 5),
        ("host", " "),
        ("port", 0),
        ("port", 65536),
        ("port", True),
        ("port", "5672"),
        ("hosts", "h1,h2"),
        ("hosts", (("h1", 1), "h2")),
        ("user", None),
        ("prefix", "a::b"),
        ("heartbeat", 0),
        ("heartbeat", "10"),
        ("heartbeat", float("nan")),
        ("connect_timeout", -1),
        ("max_frame_size", 100),
        ("max_frame_size", 1.5),
        ("error_queue", "a::b"),
        ("error_queue", 5),
        ("declare", "yes"),
        ("broker", "activemq"),
        ("virtual_host", 7),
        ("tls", "yes"),
        ("ca_file", "/no/such/file"),
        ("cert_file", "/no/such/file"),
    ],
)
def test_bad_values_name_the_option(name: str, value: Any) -> None:
    """An impossible value is a ConfigurationError that names the option."""
    with pytest.raises(ConfigurationError, match=name.rstrip("s")):
        AMQPProvider(**{name: value})


def test_options_that_need_each_other(tmp_path: Path) -> None:
    """A password needs a user, a key its certificate, and files need TLS."""
    file = tmp_path / "x.pem"
    file.write_text("")
    for options, word in (
        ({"password": SECRET}, "user"),
        ({"key_file": str(file)}, "cert_file"),
        ({"ca_file": str(file), "tls": False}, "TLS"),
    ):
        with pytest.raises(ConfigurationError, match=word) as refused:
            AMQPSettings(**options)
        assert SECRET not in str(refused.value)


def test_the_mechanism() -> None:
    """A user means PLAIN, a certificate alone EXTERNAL, nothing ANONYMOUS."""
    assert AMQPSettings(user="u", password="p").mechanism == "PLAIN"
    assert AMQPSettings().mechanism == "ANONYMOUS"
    assert AMQPSettings(cert_file=__file__, tls=True).mechanism == "EXTERNAL"
    assert AMQPSettings(user="u", cert_file=__file__).mechanism == "PLAIN"
    assert AMQPSettings(cert_file=__file__).secure


def test_no_repr_shows_the_password() -> None:
    """Neither the settings nor the provider show a password."""
    settings = AMQPSettings(user="u", password=SECRET, key_password=SECRET)
    assert SECRET not in repr(settings)
    assert SECRET not in repr(AMQPProvider("s", user="u", password=SECRET))


def test_names() -> None:
    """Prefix, server name and error queue; a fresh provider is not connected, and its repr says so."""
    provider = AMQPProvider("s-{pid}", prefix="app")
    assert provider.error_queue == "app.error"
    assert "{pid}" not in provider.server_name
    assert AMQPProvider(error_queue="dead").error_queue == "dead"
    assert not provider.connected
    assert repr(provider) == f"<AMQPProvider localhost:61616 not connected server_name={provider.server_name}>"
    assert AMQProvider is AMQPProvider


def url(**parts: Any) -> AMQPProvider:
    given: dict[str, Any] = {"hosts": [("h", None)], "user": "", "password": "", "tls": False, "options": {}}
    return AMQPProvider.from_url(**{**given, **parts})


def test_from_a_url() -> None:
    """Hosts with default ports, options in their types."""
    options = {"server_name": "s", "prefix": "p", "heartbeat": "2.5", "max_frame_size": "1024", "declare": "false"}
    provider = url(hosts=[("h1", 1), ("h2", None)], user="u", password=SECRET, options=options)
    assert provider._settings.hosts == (("h1", 1), ("h2", 5672))
    assert (provider._settings.heartbeat, provider._settings.max_frame_size) == (2.5, 1024)
    assert not provider._settings.declare
    assert not provider._settings.secure
    assert url(tls=True)._settings.hosts == (("h", 5671),)
    assert url(options={"tls": "true"})._settings.secure


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"servername": "s"}, "server_name"),
        ({"port": "1"}, "port"),
        ({"heartbeat": "soon"}, "heartbeat"),
        ({"declare": "maybe"}, "declare"),
        ({"max_frame_size": "1.5"}, "max_frame_size"),
    ],
)
def test_bad_url_options(options: dict[str, str], word: str) -> None:
    """Unknown options are named, with the known ones listed; values that cannot be read name their option."""
    with pytest.raises(ConfigurationError, match=word):
        url(options=options)


def test_contradictions_in_a_url() -> None:
    """amqps:// with tls=false is refused."""
    with pytest.raises(ConfigurationError, match="tls"):
        url(tls=True, options={"tls": "false"})
