"""What a STOMP provider is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.network.settings import NetworkSettings

_FRAME_BREAKERS = ("\0", "\n", "\r")


@dataclass(frozen=True)
class StompSettings(NetworkSettings):
    """The options of one provider. Immutable; no repr shows a password.

    hosts: what is tried in turn, in this order; by default ``host`` and ``port`` alone.
    tls: None means "if one of the files is given". ca_file: whom to trust instead of the system's authorities.
    cert_file, key_file, key_password: the client's own certificate; without a user, the broker may log in by it.
    heartbeat: seconds; a peer that is silent for two and a half of them is lost. connect_timeout: seconds for one host.
    error_queue: instead of the one that the prefix gives.
    declare: False creates nothing, checks instead, and start() names what is missing; see docs/how-to/topology.rst.
    broker: ``artemis``, ``rabbitmq`` or ``activemq``, where the broker's own word is not to be taken.
    virtual_host: RabbitMQ's virtual host; the others ignore it.

    Raises ConfigurationError that names the option.
    """

    provider: ClassVar[str] = "StompProvider"
    scheme: ClassVar[str] = "stomp"
    url_ports: ClassVar[tuple[int, int]] = (61613, 61614)
    brokers: ClassVar[tuple[str, ...]] = ("artemis", "rabbitmq", "activemq")

    port: int = 61613
    error_queue: Optional[str] = None
    declare: bool = True
    broker: Optional[str] = None
    virtual_host: str = "/"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_texts("virtual_host")
        self._check_optional_texts("error_queue", "broker")
        self._check_frame_breakers("server_name", "host", "user", "password", "prefix", "virtual_host")
        self._check_declaring(self.declare, self.error_queue, self.broker)

    def _check_frame_breakers(self, *names: str) -> None:
        # The CONNECT frame knows no escapes: these would end the header, and begin another.
        for name in names:
            if any(character in getattr(self, name) for character in _FRAME_BREAKERS):
                raise ConfigurationError(f"StompProvider({name}=...): STOMP cannot send a line break or NUL in it")
