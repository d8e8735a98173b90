"""How brokers differ: destinations, what has to be created, how messages go back. One file for each kind."""

from __future__ import annotations

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.stomp.dialects.activemq import ActiveMQDialect
from aspyx_event.providers.stomp.dialects.artemis import ArtemisDialect
from aspyx_event.providers.stomp.dialects.base import Dialect, Source
from aspyx_event.providers.stomp.dialects.rabbitmq import RabbitMQDialect
from aspyx_event.providers.stomp.settings import StompSettings

_DIALECTS: dict[str, type[Dialect]] = {
    "artemis": ArtemisDialect,
    "rabbitmq": RabbitMQDialect,
    "activemq": ActiveMQDialect,
}
_SERVERS = {"ActiveMQ-Artemis": "artemis", "RabbitMQ": "rabbitmq", "ActiveMQ": "activemq"}


def dialect_for(server: str, settings: StompSettings) -> Dialect:
    """The dialect of the broker that calls itself ``server`` in its CONNECTED frame, or the one that was set.

    Raises ConfigurationError for brokers nobody has written a dialect for.
    """
    name = settings.broker or _SERVERS.get(server.partition("/")[0], "")
    dialect = _DIALECTS.get(name)
    if dialect is None:
        raise ConfigurationError(
            f"the broker calls itself {server or 'nothing'!r}; this provider speaks to {', '.join(sorted(_DIALECTS))}: "
            "if it is one of these under another name, say so with broker="
        )
    return dialect(settings)


def dialect_by_name(settings: StompSettings) -> Dialect:
    """The dialect of the broker that was set. Raises LifecycleError when none was, and only a connection can tell."""
    if settings.broker is None:
        raise settings.kind_unknown()
    return dialect_for("", settings)


__all__ = ["Dialect", "Source", "dialect_by_name", "dialect_for"]
