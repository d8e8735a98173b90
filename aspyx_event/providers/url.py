"""From a URL to a provider: ``local://``, ``sqlite://``, ``amqp(s)://``, ``stomp(s)://``, and those of others."""

from __future__ import annotations

import re
from typing import Any, Callable, Optional
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from aspyx_event.events import check_name
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.provider import Provider
from aspyx_event.providers.entry_points import GROUP, installed_schemes, provider_from_entry_point

Hosts = list[tuple[str, Optional[int]]]

_OPTION = re.compile(r"[a-z][a-z_]*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def provider_from_url(url: str) -> Provider:
    """Make a provider from ``scheme://user:password@host1:port,host2:port/?option=value``.

    Several hosts, separated by commas, are tried in turn. User and password are percent-decoded. ``local://name``
    is the bus of that name in this process, ``local://`` a new one; ``sqlite:///path`` is a file. Other schemes are
    looked for among the entry points ``aspyx_event.providers`` of the installed distributions; those known here cannot
    be taken over.

    Raises ConfigurationError for an unknown scheme, a malformed URL, unknown options, and a missing package; no message
    repeats the password.
    """
    found = _SCHEME.match(url)
    scheme = found.group(1).lower() if found else ""
    if scheme == "sqlite":  # whose path is no business of urlsplit
        return _sqlite(url)
    make = _SCHEMES.get(scheme)
    if make is None:
        return _by_others(scheme, url)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError(
            "the provider URL is malformed; write scheme://user:password@host:port/?option=value"
        ) from None
    _check(parts)
    return make(parts, _options(parts))


def _by_others(scheme: str, url: str) -> Provider:
    """From another distribution. Raises ConfigurationError when there is none."""
    provider = provider_from_entry_point(scheme, url) if scheme else None
    if provider is None:
        known = ", ".join(f"{name}://" for name in (*_SCHEMES, "sqlite", *installed_schemes()))
        if not scheme:  # the text may hold a password
            raise ConfigurationError(
                f"no provider for a URL without a scheme: it begins with one of {known}, as in amqp://localhost:61616/"
            )
        raise ConfigurationError(
            f"no provider for the URL scheme {scheme!r}; known are {known}; a distribution that adds one names it in "
            f"its entry points {GROUP!r}"
        )
    return provider


def _check(parts: SplitResult) -> None:
    """Refuse what a '/', '?' or '#' inside a password makes of a URL, without repeating any of it."""
    odd_option = any(not _OPTION.fullmatch(key) for key, _ in parse_qsl(parts.query, keep_blank_values=True))
    if parts.path not in ("", "/") or parts.fragment or odd_option:
        raise ConfigurationError(
            f"the {parts.scheme}:// URL has more parts than user:password@host:port/?option=value; "
            "special characters in user and password are written percent-encoded: '/' as %2F, '?' as %3F, '#' as %23"
        )


def _options(parts: SplitResult) -> dict[str, str]:
    options: dict[str, str] = {}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key in options:
            raise ConfigurationError(f"the provider URL gives the option {key!r} twice")
        options[key] = value
    return options


def _hosts(netloc: str) -> Hosts:
    hosts: Hosts = []
    for item in netloc.rpartition("@")[2].split(","):
        bare = urlsplit(f"//{item}")
        try:
            port = bare.port
        except ValueError:  # the item is not shown: it may be a piece of a password that is not percent-encoded
            raise ConfigurationError(
                "the provider URL has an impossible port: write host:port, two of them as h1:1,h2:2"
            ) from None
        hosts.append((bare.hostname or "localhost", port))
    return hosts


def _credentials(netloc: str) -> tuple[str, str]:
    user, _, password = netloc.rpartition("@")[0].partition(":")
    return unquote(user), unquote(password)


def _local(parts: SplitResult, options: dict[str, str]) -> Provider:
    from aspyx_event.providers.local import LocalProvider

    unknown = sorted(set(options) - {"server_name", "prefix"})
    if unknown:
        raise ConfigurationError(f"local:// does not know the options {unknown}; it has server_name and prefix")
    if "@" in parts.netloc:
        raise ConfigurationError("local:// takes no user and password: write local://name")
    name = check_name(parts.netloc, "the name in local://name,") if parts.netloc else ""
    return LocalProvider(name, server_name=options.get("server_name", ""), prefix=options.get("prefix", ""))


def _sqlite(url: str) -> Provider:
    from aspyx_event.providers.sqlite import SqliteProvider

    return SqliteProvider.from_url(url)


def _amqp(parts: SplitResult, options: dict[str, str]) -> Provider:
    from aspyx_event.providers.amqp import AMQPProvider

    return AMQPProvider.from_url(**_network(parts), options=options)


def _stomp(parts: SplitResult, options: dict[str, str]) -> Provider:
    from aspyx_event.providers.stomp import StompProvider

    return StompProvider.from_url(**_network(parts), options=options)


def _network(parts: SplitResult) -> dict[str, Any]:
    user, password = _credentials(parts.netloc)
    tls = parts.scheme in ("amqps", "stomps")
    return {"hosts": _hosts(parts.netloc), "user": user, "password": password, "tls": tls}


_SCHEMES: dict[str, Callable[[SplitResult, dict[str, str]], Provider]] = {
    "local": _local,
    "amqp": _amqp,
    "amqps": _amqp,
    "stomp": _stomp,
    "stomps": _stomp,
}
