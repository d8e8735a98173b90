"""What an AMQP provider is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional

from aspyx_event.providers.network.settings import NetworkSettings

_SERVICE_BUS = ".servicebus.windows.net"
_SMALLEST_FRAME = 512  # the specification's minimum
_LARGEST_FRAME = 0xFFFFFFFF


@dataclass(frozen=True)
class AMQPSettings(NetworkSettings):
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

    provider: ClassVar[str] = "AMQPProvider"
    scheme: ClassVar[str] = "amqp"
    url_ports: ClassVar[tuple[int, int]] = (5672, 5671)
    brokers: ClassVar[tuple[str, ...]] = ("artemis", "rabbitmq")

    port: int = 61616
    max_frame_size: int = 128 * 1024
    error_queue: Optional[str] = None
    declare: bool = True
    broker: Optional[str] = None
    virtual_host: Optional[str] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_optional_texts("error_queue", "broker", "virtual_host")
        self._check_not_service_bus()
        size = self.max_frame_size
        if isinstance(size, bool) or not isinstance(size, int) or not _SMALLEST_FRAME <= size <= _LARGEST_FRAME:
            raise self._wrong("max_frame_size", size, f"bytes, from {_SMALLEST_FRAME} to {_LARGEST_FRAME}")
        self._check_declaring(self.declare, self.error_queue, self.broker)

    @property
    def mechanism(self) -> str:
        """The one SASL mechanism to use: proton's own choice would prefer EXTERNAL to a user's password."""
        if self.user:
            return "PLAIN"
        return "EXTERNAL" if self.cert_file else "ANONYMOUS"

    def _check_not_service_bus(self) -> None:
        for host, _ in self.hosts:
            if host.strip().rstrip(".").lower().endswith(_SERVICE_BUS):
                raise self._wrong(
                    "host",
                    host,
                    "Azure Service Bus is not supported: its topics and subscriptions cannot be created over AMQP, and "
                    "this library was never run on it; choose one of the brokers in the documentation",
                )
