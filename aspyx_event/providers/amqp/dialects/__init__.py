"""How brokers differ: addresses, what has to be created, and what an outcome means. One file for each kind."""

from __future__ import annotations

from aspyx_event.exceptions import ConfigurationError
from aspyx_event.providers.amqp.dialects.artemis import ArtemisDialect
from aspyx_event.providers.amqp.dialects.base import Dialect
from aspyx_event.providers.amqp.dialects.rabbitmq import RabbitMQDialect
from aspyx_event.providers.amqp.settings import AMQPSettings

_DIALECTS: dict[str, type[Dialect]] = {"artemis": ArtemisDialect, "rabbitmq": RabbitMQDialect}
_OLD_RABBITMQS = ("2", "3")
_PRODUCTS = {"apache-activemq-artemis": "artemis", "RabbitMQ": "rabbitmq"}
_OTHER_NAME = "if it is one of these under another name, say so with broker="
_ADVICE = {"ActiveMQ": "this is ActiveMQ Classic, which StompProvider (stomp://, port 61613) speaks to"}


def dialect_for(product: str, version: str, settings: AMQPSettings) -> Dialect:
    """The dialect of the broker that calls itself ``product`` in its open frame, or the one that was set.

    Raises ConfigurationError for brokers nobody has written a dialect for, and for versions that are too old.
    """
    name = settings.broker or _PRODUCTS.get(product, "")
    dialect = _DIALECTS.get(name)
    if dialect is None:
        raise ConfigurationError(
            f"the broker calls itself {product or 'nothing'!r}; over AMQP 1.0 this library speaks to "
            f"{', '.join(sorted(_DIALECTS))}: {_ADVICE.get(product, _OTHER_NAME)}"
        )
    if name == "rabbitmq" and version.partition(".")[0] in _OLD_RABBITMQS:
        raise ConfigurationError(
            f"the broker is RabbitMQ {version}: over AMQP 1.0 it can bind no queue to an exchange; use RabbitMQ 4 or "
            "newer, or the StompProvider, which works with version 3 too"
        )
    return dialect(settings)


def dialect_by_name(settings: AMQPSettings) -> Dialect:
    """The dialect of the broker that was set. Raises LifecycleError when none was, and only a connection can tell."""
    if settings.broker is None:
        raise settings.kind_unknown()
    return dialect_for("", "", settings)


__all__ = ["Dialect", "dialect_by_name", "dialect_for"]
