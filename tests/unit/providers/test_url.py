"""provider_from_url."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspyx_event import ConfigurationError, EventManager, LocalProvider, provider_from_url
from aspyx_event.providers import url as module

SECRET = "s3cret"


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the function for a scheme gets, for a scheme that needs no package."""

    def make(parts: Any, options: dict[str, str]) -> Any:
        user, password = module._credentials(parts.netloc)
        return module._hosts(parts.netloc), user, password, options

    monkeypatch.setitem(module._SCHEMES, "test", make)
    return provider_from_url


def test_everything(parts: Any) -> None:
    """Hosts, credentials and options are taken apart."""
    assert parts("test://me:pw@h1:5672,h2:5673,h3/?server_name=web-{pid}&prefix=shop") == (
        [("h1", 5672), ("h2", 5673), ("h3", None)],
        "me",
        "pw",
        {"server_name": "web-{pid}", "prefix": "shop"},
    )


def test_little(parts: Any) -> None:
    """Without host, user and options the rest is defaults."""
    assert parts("test://") == ([("localhost", None)], "", "", {})
    assert parts("test://h") == ([("h", None)], "", "", {})
    assert parts("test://[::1]:5672/") == ([("::1", 5672)], "", "", {})
    assert parts("TEST://h")[0] == [("h", None)]


def test_percent_encoding(parts: Any) -> None:
    """User and password are percent-decoded; an '@' in the password may stay as it is."""
    assert parts("test://me%40corp:p%2Fw%3A%25%C3%BC@h")[1:3] == ("me@corp", "p/w:%ü")
    assert parts("test://me:p@w:x@h")[1:3] == ("me", "p@w:x")


@pytest.mark.parametrize(
    "url",
    [
        f"test://me:{SECRET}/x@h:5672",
        f"test://me:{SECRET}?x@h:5672",
        f"test://me:x?{SECRET}@h:5672/",
        f"test://me:{SECRET}#x@h:5672",
        f"test://me:x#{SECRET}@h:5672",
        f"test://me:x/{SECRET}@h:5672",
        f"test://me:{SECRET}[@h",
        f"test://me:{SECRET}@h:port",
        f"test://me:{SECRET}@h:99999",
        f"test://me:{SECRET}",
        f"unknown://me:{SECRET}@h",
        f"me:{SECRET}@h",
        f"local://me:{SECRET}@name",
        f"local://name/{SECRET}",
    ],
)
def test_no_error_repeats_the_password(parts: Any, url: str) -> None:
    """Whatever is wrong with a URL, the error does not repeat the password."""
    with pytest.raises(ConfigurationError) as caught:
        EventManager(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_special_characters_are_explained(parts: Any) -> None:
    """A '/' in a password that is not encoded is explained."""
    with pytest.raises(ConfigurationError, match="'/' as %2F"):
        parts("test://me:a/b@h:5672")


def test_unknown_scheme() -> None:
    """An unknown scheme is named, with the known ones."""
    known = "local://, amqp://, amqps://, stomp://, stomps://, sqlite://"
    with pytest.raises(ConfigurationError, match=f"scheme 'kafka'; known are {known}"):
        provider_from_url("kafka://h")


def test_no_scheme() -> None:
    """What has no scheme is told how a URL begins, and is not repeated: it may hold a password."""
    with pytest.raises(
        ConfigurationError, match="a URL without a scheme: it begins with one of local://, amqp://"
    ) as no:
        provider_from_url("amqp//me:s3cret@localhost")
    assert "s3cret" not in str(no.value)


def test_option_twice(parts: Any) -> None:
    """An option given twice is refused by name."""
    with pytest.raises(ConfigurationError, match="option 'prefix' twice"):
        parts("test://h/?prefix=a&prefix=b")


def test_local() -> None:
    """local:// is a bus of its own, local://name a shared one, with server_name and prefix."""
    one, two = provider_from_url("local://url-test"), provider_from_url("local://url-test/?server_name=web&prefix=shop")
    assert isinstance(one, LocalProvider)
    assert isinstance(two, LocalProvider)
    assert one.bus is two.bus
    assert two.server_name == "web"
    assert two.error_queue == "shop.error"
    other = provider_from_url("local://")
    assert isinstance(other, LocalProvider)
    assert other.bus is not one.bus


def test_local_options() -> None:
    """Unknown options and impossible names of local:// are refused by name."""
    with pytest.raises(
        ConfigurationError, match=r"does not know the options \['host'\]; it has server_name and prefix"
    ):
        provider_from_url("local://?host=x")
    with pytest.raises(ConfigurationError, match=r"local://name.*'a b'"):
        provider_from_url("local://a b")


@given(st.sampled_from(["", "local:", "local://"]), st.text())
def test_any_text(scheme: str, text: str) -> None:
    """Any text is a provider or a ConfigurationError."""
    try:
        provider = provider_from_url(scheme + text)
    except ConfigurationError:
        return
    assert provider.server_name
