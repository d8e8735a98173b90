"""Real brokers for the tests: install them once into a cache, start them on free ports, end them for certain."""

from __future__ import annotations

from .base import Broker, BrokerFailed, BrokerUnavailable

__all__ = ["Broker", "BrokerFailed", "BrokerUnavailable"]
