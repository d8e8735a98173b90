"""Transports: one module or folder each. ``provider_from_url`` makes one from a URL."""

from aspyx_event.providers.url import provider_from_url

__all__ = ["provider_from_url"]
