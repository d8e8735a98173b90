"""What an AMQP provider is told."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Optional

from aspyx_event.events import check_name
from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.naming import DEFAULT_SERVER_NAME, Naming

Hosts = tuple[tuple[str, int], ...]

URL_PORT, URL_TLS_PORT = 5672, 5671
BROKERS = ("artemis", "rabbitmq")

_SERVICE_BUS = ".servicebus.windows.net"
_SMALLEST_FRAME = 512  # the specification's minimum
_LARGEST_FRAME = 0xFFFFFFFF
_FILES = ("ca_file", "cert_file", "key_file")


@dataclass(frozen=True)
class AMQPSettings:
    """The options of one provider. Immutable; no repr shows a password.

    hosts: what is tried in turn, in this order; by default ``host`` and ``port`` alone.
    tls: None means "if one of the files is given". ca_file: whom to trust instead of the system's authorities.
    cert_file, key_file, key_password: the client's own certificate; without a user, SASL EXTERNAL logs in by it.
    heartbeat: seconds; a peer that is silent for two of them is lost. connect_timeout: seconds for one host.
    max_frame_size: bytes. error_queue: instead of the one that the prefix gives.
    declare: False creates nothing, checks instead, and start() names what is missing; see docs/how-to/topology.rst.
    broker: ``artemis`` or ``rabbitmq``, where the broker's own word for what it is cannot be taken.
    virtual_host: what the open frame names as host, instead of the host's name (RabbitMQ: ``vhost:<name>``).

    Raises ConfigurationError that names the option, and for hosts of Azure Service Bus, which is not supported.
    """

    server_name: str = DEFAULT_SERVER_NAME
    host: str = "localhost"
    port: int = 61616
    user: str = ""
    password: str = field(default="", repr=False)
    prefix: str = ""
    hosts: Hosts = ()
    tls: Optional[bool] = None
    ca_file: Optional[str] = None
    cert_file: Optional[str] = None
    key_file: Optional[str] = None
    key_password: Optional[str] = field(default=None, repr=False)
    heartbeat: float = 10.0
    connect_timeout: float = 10.0
    max_frame_size: int = 128 * 1024
    error_queue: Optional[str] = None
    declare: bool = True
    broker: Optional[str] = None
    virtual_host: Optional[str] = None

    def __post_init__(self) -> None:
        self._check_texts()
        object.__setattr__(self, "hosts", _checked_hosts(self.hosts or ((self.host, self.port),)))
        self._check_tls()
        self._check_numbers()
        if not isinstance(self.declare, bool):
            raise _wrong("declare", self.declare, "True or False")
        if self.error_queue is not None:
            check_name(self.error_queue, "error_queue")
        if self.broker is not None and self.broker not in BROKERS:
            raise _wrong("broker", self.broker, f"one of {', '.join(BROKERS)}")

    @property
    def naming(self) -> Naming:
        """The names that follow from server name and prefix."""
        return Naming(self.server_name, self.prefix)

    @property
    def mechanism(self) -> str:
        """The one SASL mechanism to use: proton's own choice would prefer EXTERNAL to a user's password."""
        if self.user:
            return "PLAIN"
        return "EXTERNAL" if self.cert_file else "ANONYMOUS"

    @property
    def secure(self) -> bool:
        """Whether to speak TLS."""
        return bool(self.tls)

    def _check_texts(self) -> None:
        for name in ("server_name", "host", "user", "password", "prefix"):
            if not isinstance(getattr(self, name), str):
                raise ConfigurationError(
                    f"AMQPProvider({name}=...): a string, not a {type(getattr(self, name)).__name__}"
                )
        for name in (*_FILES, "key_password", "error_queue", "broker", "virtual_host"):
            value = getattr(self, name)
            if name in _FILES and isinstance(value, os.PathLike):
                object.__setattr__(self, name, os.fspath(value))
            elif value is not None and not isinstance(value, str):
                raise ConfigurationError(f"AMQPProvider({name}=...): a string or None, not a {type(value).__name__}")
        if self.password and not self.user:
            raise ConfigurationError("AMQPProvider(password=...) needs a user")

    def _check_tls(self) -> None:
        given = [name for name in _FILES if getattr(self, name) is not None]
        if self.tls is None:
            object.__setattr__(self, "tls", bool(given))
        elif not isinstance(self.tls, bool):
            raise _wrong("tls", self.tls, "True, False or None")
        elif given and not self.tls:
            raise ConfigurationError(f"AMQPProvider({given[0]}=...) has no meaning without TLS: leave tls=False out")
        for name in given:
            path = getattr(self, name)
            if not os.path.isfile(path) or not os.access(path, os.R_OK):
                raise _wrong(name, path, "a PEM file that can be read")
        if self.key_file is not None and self.cert_file is None:
            raise ConfigurationError(
                "AMQPProvider(key_file=...) needs cert_file, the certificate that the key belongs to"
            )

    def _check_numbers(self) -> None:
        for name in ("heartbeat", "connect_timeout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.1 <= value <= 3600:
                raise _wrong(name, value, "seconds, from 0.1 to 3600")
        size = self.max_frame_size
        if isinstance(size, bool) or not isinstance(size, int) or not _SMALLEST_FRAME <= size <= _LARGEST_FRAME:
            raise _wrong("max_frame_size", size, f"bytes, from {_SMALLEST_FRAME} to {_LARGEST_FRAME}")


def _checked_hosts(hosts: Any) -> Hosts:
    if isinstance(hosts, (str, bytes)) or not isinstance(hosts, Sequence):
        raise _wrong("hosts", hosts, 'pairs such as (("broker1", 61616), ("broker2", 61616))')
    for pair in hosts:
        if isinstance(pair, (str, bytes)) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise _wrong("hosts", hosts, 'pairs such as (("broker1", 61616), ("broker2", 61616))')
        host, port = pair
        if not isinstance(host, str) or not host.strip():
            raise _wrong("host", host, "the name or address of a machine")
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
            raise _wrong("port", port, "a number from 1 to 65535")
        if host.strip().rstrip(".").lower().endswith(_SERVICE_BUS):
            raise _wrong(
                "host",
                host,
                "Azure Service Bus is not supported: its topics and subscriptions cannot be created over AMQP, and "
                "this library was never run on it; choose one of the brokers in the documentation",
            )
    return tuple((host, port) for host, port in hosts)


def _wrong(name: str, value: Any, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"AMQPProvider({name}={value!r}): {wanted}")


_FROM_URL = tuple(f.name for f in fields(AMQPSettings) if f.name not in ("host", "port", "user", "password", "hosts"))
_WORDS = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}


def from_url_parts(
    *, hosts: list[tuple[str, int | None]], user: str, password: str, tls: bool, options: dict[str, str]
) -> dict[str, Any]:
    """Keyword arguments for AMQPSettings from the parts of an ``amqp://`` or ``amqps://`` URL.

    Raises ConfigurationError for unknown options (listing the known ones) and for values that cannot be read.
    """
    unknown = sorted(set(options) - set(_FROM_URL))
    if unknown:
        raise ConfigurationError(f"amqp:// does not know the options {unknown}; it has {', '.join(_FROM_URL)}")
    found: dict[str, Any] = {name: _parsed(name, value) for name, value in options.items()}
    if tls:
        if found.get("tls") is False:
            raise ConfigurationError("the option tls=false contradicts amqps://")
        found["tls"] = True
    secure = found.get("tls") or any(name in found for name in _FILES)
    port = URL_TLS_PORT if secure else URL_PORT
    found["hosts"] = tuple((host, given or port) for host, given in hosts)
    found["user"], found["password"] = user, password
    return found


def _parsed(name: str, value: str) -> Any:
    if name in ("tls", "declare"):
        if value.lower() not in _WORDS:
            raise ConfigurationError(f"the option {name}={value!r}: true or false")
        return _WORDS[value.lower()]
    if name in ("heartbeat", "connect_timeout", "max_frame_size"):
        try:
            return int(value) if name == "max_frame_size" else float(value)
        except ValueError:
            raise ConfigurationError(f"the option {name}={value!r}: a number") from None
    return value
