"""AMQP 1.0 over python-qpid-proton. Nothing else in the package imports proton."""

from aspyx_event.exceptions import ConfigurationError

try:
    import cproton  # noqa: F401
    import proton  # noqa: F401
except ImportError as error:
    raise ConfigurationError(
        "the AMQP provider needs python-qpid-proton: pip install aspyx-event[amqp]"
        f"{'' if error.name in ('proton', 'cproton') else f' ({error})'}"
    ) from error

from aspyx_event.providers.amqp.provider import AMQPProvider
from aspyx_event.providers.amqp.settings import AMQPSettings

AMQProvider = AMQPProvider

__all__ = ["AMQPProvider", "AMQPSettings", "AMQProvider"]
