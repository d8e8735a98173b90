"""The options that every provider with a connection has, and how they are checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Optional

from aspyx_event.events import check_name
from aspyx_event.exceptions import ConfigurationError, LifecycleError
from aspyx_event.providers.naming import DEFAULT_SERVER_NAME, Naming

Hosts = tuple[tuple[str, int], ...]

FILES = ("ca_file", "cert_file", "key_file")


@dataclass(frozen=True)
class NetworkSettings:
    """The base of a provider's settings, which says what the options mean. Raises ConfigurationError.

    A subclass says what its protocol has of its own, adds its fields, and checks them after these.
    """

    provider: ClassVar[str]  # the class whose options these are
    scheme: ClassVar[str]  # of URLs; with an s at the end it means TLS
    url_ports: ClassVar[tuple[int, int]]  # for hosts without one in a URL: plain, TLS
    brokers: ClassVar[tuple[str, ...]]

    server_name: str = DEFAULT_SERVER_NAME
    host: str = "localhost"
    port: int = 0
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

    def __post_init__(self) -> None:
        self._check_texts("server_name", "host", "user", "password", "prefix")
        self._check_optional_texts(*FILES, "key_password")
        if self.password and not self.user:
            raise ConfigurationError(f"{self.provider}(password=...) needs a user")
        object.__setattr__(self, "hosts", self._checked_hosts(self.hosts or ((self.host, self.port),)))
        self._check_tls()
        for name in ("heartbeat", "connect_timeout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.1 <= value <= 3600:
                raise self._wrong(name, value, "seconds, from 0.1 to 3600")

    @property
    def naming(self) -> Naming:
        """The names that follow from server name and prefix."""
        return Naming(self.server_name, self.prefix)

    @property
    def secure(self) -> bool:
        """Whether to speak TLS."""
        return bool(self.tls)

    def kind_unknown(self) -> LifecycleError:
        """The error as long as only a connection can tell what kind of broker this is."""
        return LifecycleError(
            "which kind of broker this is will be known after start(): start the manager first, or say it with "
            f"{self.provider}(broker=...), one of {', '.join(sorted(self.brokers))}"
        )

    def _check_texts(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, str):
                raise ConfigurationError(f"{self.provider}({name}=...): a string, not a {type(value).__name__}")

    def _check_optional_texts(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if name in FILES and isinstance(value, os.PathLike):
                object.__setattr__(self, name, os.fspath(value))
            elif value is not None and not isinstance(value, str):
                raise ConfigurationError(f"{self.provider}({name}=...): a string or None, not a {type(value).__name__}")

    def _check_declaring(self, declare: Any, error_queue: str | None, broker: str | None) -> None:
        if not isinstance(declare, bool):
            raise self._wrong("declare", declare, "True or False")
        if error_queue is not None:
            check_name(error_queue, "error_queue")
        if broker is not None and broker not in self.brokers:
            raise self._wrong("broker", broker, f"one of {', '.join(self.brokers)}")

    def _check_tls(self) -> None:
        given = [name for name in FILES if getattr(self, name) is not None]
        if self.tls is None:
            object.__setattr__(self, "tls", bool(given))
        elif not isinstance(self.tls, bool):
            raise self._wrong("tls", self.tls, "True, False or None")
        elif given and not self.tls:
            raise ConfigurationError(f"{self.provider}({given[0]}=...) has no meaning without TLS: leave tls=False out")
        for name in given:
            path = getattr(self, name)
            if not os.path.isfile(path) or not os.access(path, os.R_OK):
                raise self._wrong(name, path, "a PEM file that can be read")
        if self.key_file is not None and self.cert_file is None:
            raise ConfigurationError(
                f"{self.provider}(key_file=...) needs cert_file, the certificate that the key belongs to"
            )

    def _checked_hosts(self, hosts: Any) -> Hosts:
        usual = type(self).port
        wanted = f'pairs such as (("broker1", {usual}), ("broker2", {usual}))'
        if isinstance(hosts, (str, bytes)) or not isinstance(hosts, Sequence):
            raise self._wrong("hosts", hosts, wanted)
        for pair in hosts:
            if isinstance(pair, (str, bytes)) or not isinstance(pair, Sequence) or len(pair) != 2:
                raise self._wrong("hosts", hosts, wanted)
            host, port = pair
            if not isinstance(host, str) or not host.strip():
                raise self._wrong("host", host, "the name or address of a machine")
            if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
                raise self._wrong("port", port, "a number from 1 to 65535")
        return tuple((host, port) for host, port in hosts)

    def _wrong(self, name: str, value: Any, wanted: str) -> ConfigurationError:
        return ConfigurationError(f"{self.provider}({name}={value!r}): {wanted}")
