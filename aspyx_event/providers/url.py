"""From a URL to a provider: ``local://``, ``amqp://``, ``amqps://``."""

from __future__ import annotations

from typing import Callable, Optional
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.provider import Provider

Hosts = list[tuple[str, Optional[int]]]


def provider_from_url(url: str) -> Provider:
    """Make a provider from ``scheme://user:password@host1:port,host2:port/?option=value``.

    Several hosts, separated by commas, are tried in turn. User and password are percent-decoded. ``local://name``
    is the bus of that name in this process, ``local://`` a new one. Raises ConfigurationError for an unknown scheme,
    a malformed URL, unknown options, and a missing package; no message repeats the password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError(
            "the provider URL is malformed; write scheme://user:password@host:port/?option=value"
        ) from None
    make = _SCHEMES.get(parts.scheme)
    if make is None:
        raise ConfigurationError(
            f"no provider for the URL scheme {parts.scheme!r}; known are {', '.join(f'{s}://' for s in _SCHEMES)}"
        )
    return make(parts, _options(parts))


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
        except ValueError:
            raise ConfigurationError(f"the provider URL has an impossible port in {item!r}") from None
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
    return LocalProvider(parts.netloc, server_name=options.get("server_name", ""), prefix=options.get("prefix", ""))


def _amqp(parts: SplitResult, options: dict[str, str]) -> Provider:
    from aspyx_event.providers.amqp import AMQPProvider

    user, password = _credentials(parts.netloc)
    return AMQPProvider.from_url(
        hosts=_hosts(parts.netloc), user=user, password=password, tls=parts.scheme == "amqps", options=options
    )


_SCHEMES: dict[str, Callable[[SplitResult, dict[str, str]], Provider]] = {
    "local": _local,
    "amqp": _amqp,
    "amqps": _amqp,
}
