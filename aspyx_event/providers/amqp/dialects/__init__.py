"""How brokers differ: addresses, what has to be created, and what an outcome means. One file for each kind."""

from __future__ import annotations

from aspyx_event.exceptions import ProviderUnavailable
from aspyx_event.providers.amqp.dialects.artemis import ArtemisDialect
from aspyx_event.providers.amqp.dialects.base import Dialect
from aspyx_event.providers.amqp.settings import AMQPSettings

_DIALECTS: dict[str, type[Dialect]] = {"artemis": ArtemisDialect}
_PRODUCTS = {"apache-activemq-artemis": "artemis", "RabbitMQ": "rabbitmq"}


def dialect_for(product: str, settings: AMQPSettings) -> Dialect:
    """The dialect of the broker that calls itself ``product`` in its open frame, or the one that was set.

    Raises ProviderUnavailable for brokers nobody has written a dialect for.
    """
    name = settings.broker or _PRODUCTS.get(product, "")
    dialect = _DIALECTS.get(name)
    if dialect is None:
        raise ProviderUnavailable(
            f"the broker calls itself {product or 'nothing'!r}; this provider speaks to "
            f"{', '.join(sorted(_DIALECTS))}: if it is one of these under another name, say so with broker="
        )
    return dialect(settings)


__all__ = ["Dialect", "dialect_for"]
