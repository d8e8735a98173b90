"""From the parts of a provider's URL to the keyword arguments of its settings."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.network.settings import FILES, NetworkSettings

_NOT_OPTIONS = ("host", "port", "user", "password", "hosts")  # a URL says these elsewhere
_WORDS = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}


def arguments_from_url(
    settings: type[NetworkSettings],
    *,
    hosts: list[tuple[str, int | None]],
    user: str,
    password: str,
    tls: bool,
    options: dict[str, str],
) -> dict[str, Any]:
    """Keyword arguments for ``settings``, and for the provider that has them.

    Raises ConfigurationError for unknown options (listing the known ones) and for values that cannot be read.
    """
    defaults = {f.name: f.default for f in fields(settings) if f.name not in _NOT_OPTIONS}
    unknown = sorted(set(options) - set(defaults))
    if unknown:
        raise ConfigurationError(
            f"{settings.scheme}:// does not know the options {unknown}; it has {', '.join(defaults)}"
        )
    found: dict[str, Any] = {name: _parsed(name, value, defaults[name]) for name, value in options.items()}
    if tls:
        if found.get("tls") is False:
            raise ConfigurationError(f"the option tls=false contradicts {settings.scheme}s://")
        found["tls"] = True
    secure = found.get("tls") or any(name in found for name in FILES)
    port = settings.url_ports[1 if secure else 0]
    found["hosts"] = tuple((host, given or port) for host, given in hosts)
    found["user"], found["password"] = user, password
    return found


def _parsed(name: str, value: str, default: Any) -> Any:
    if isinstance(default, bool) or name == "tls":  # whose default is None
        if value.lower() not in _WORDS:
            raise ConfigurationError(f"the option {name}={value!r}: true or false")
        return _WORDS[value.lower()]
    if isinstance(default, (int, float)):
        try:
            return type(default)(value)
        except ValueError:
            raise ConfigurationError(f"the option {name}={value!r}: a number") from None
    return value
