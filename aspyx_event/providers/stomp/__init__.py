"""STOMP 1.2 over stomp.py. Nothing else in the package imports stomp."""

from aspyx_event.providers.stomp.provider import StompProvider
from aspyx_event.providers.stomp.settings import StompSettings

__all__ = ["StompProvider", "StompSettings"]
