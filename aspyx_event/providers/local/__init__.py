"""The provider without a broker: everything in this process, with the rules of a broker."""

from aspyx_event.providers.local.provider import LocalProvider

__all__ = ["LocalProvider"]
